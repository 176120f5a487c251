#include "physics_eval/track/colour.h"

#include <algorithm>
#include <cmath>

namespace orrery {

namespace {

// Hue in degrees, saturation and value in [0, 1].
struct Hsv {
  double hue, saturation, value;
};

Hsv to_hsv(const TrackColour& c) {
  const double high = std::max({c.r, c.g, c.b}), low = std::min({c.r, c.g, c.b});
  const double range = high - low;
  Hsv out{0, high > 0 ? range / high : 0, high / 255};
  if (range <= 0) return out;
  if (high == c.r) {
    out.hue = 60 * std::fmod((c.g - c.b) / range + 6, 6);
  } else if (high == c.g) {
    out.hue = 60 * ((c.b - c.r) / range + 2);
  } else {
    out.hue = 60 * ((c.r - c.g) / range + 4);
  }
  return out;
}

}  // namespace

const char* colour_name(const TrackColour& colour) {
  const Hsv c = to_hsv(colour);
  if (c.value < 0.18) return "black";
  if (c.saturation < 0.18) return c.value > 0.82 ? "white" : c.value < 0.25 ? "black" : "grey";
  const bool dark = c.value < 0.72, pale = c.saturation < 0.55 && c.value > 0.75;
  if (c.hue < 15 || c.hue >= 345) return pale ? "pink" : dark && c.hue >= 8 && c.hue < 15 ? "brown" : "red";
  if (c.hue < 43) return dark ? "brown" : "orange";
  if (c.hue < 70) return "yellow";
  if (c.hue < 165) return "green";
  if (c.hue < 200) return "cyan";
  if (c.hue < 255) return "blue";
  if (c.hue < 300) return "purple";
  return c.value > 0.75 ? "pink" : "purple";
}

const char* colour_name(const TrackColour& colour, double brightness) {
  const double high = std::max({colour.r, colour.g, colour.b});
  if (high < 0.25 * 255 || to_hsv(colour).saturation >= 0.18) return colour_name(colour);
  const double scale = std::max(1.0, 765 * brightness / (colour.r + colour.g + colour.b));
  return colour_name({colour.r * scale, colour.g * scale, colour.b * scale});
}

namespace tracking {

Chroma chroma(double r, double g, double b) {
  const double high = std::max({r, g, b, 24.0});  // near black the ratio is noise
  return {(r - g) / high, (0.5 * (r + g) - b) / high};
}

TrackColour full_colour(const Chroma& c) {
  // Red is the largest channel, green, or else blue.
  TrackColour out{1, 1 - c.u, 1 - c.u / 2 - c.v};
  if (c.u < 0) out = {1 + c.u, 1, 1 + c.u / 2 - c.v};
  if (out.b > 1) out = {1 + c.v + c.u / 2, 1 + c.v - c.u / 2, 1};
  return {255 * out.r, 255 * out.g, 255 * out.b};
}

double colour_distance(const TrackColour& a, const TrackColour& b) {
  const double light = ((a.r + a.g + a.b) - (b.r + b.g + b.b)) / 765;
  return std::sqrt(chroma_distance2(chroma(a), chroma(b)) + 0.25 * light * light);
}

}  // namespace tracking

}  // namespace orrery
