#include "physics_eval/report/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace orrery {

namespace {

using Size = std::size_t;
using Colour = std::array<int, 3>;

constexpr std::array<Colour, 6> kColours{
    {{0, 200, 255}, {255, 180, 0}, {120, 255, 80}, {255, 90, 220}, {255, 255, 90}, {160, 140, 255}}};
constexpr Colour kRed{255, 40, 40};

// A soft dot; `size` is its radius in pixels.
void dot(Frame& frame, double x, double y, double size, const Colour& colour) {
  const int left = static_cast<int>(std::floor(x - size - 1)), top = static_cast<int>(std::floor(y - size - 1));
  const int right = static_cast<int>(std::ceil(x + size + 1)), bottom = static_cast<int>(std::ceil(y + size + 1));
  for (int j = std::max(0, top); j <= std::min(frame.height() - 1, bottom); ++j) {
    for (int i = std::max(0, left); i <= std::min(frame.width() - 1, right); ++i) {
      const double cover = std::clamp(size + 0.5 - std::hypot(i + 0.5 - x, j + 0.5 - y), 0.0, 1.0);
      std::uint8_t* p = frame.at(i, j);
      for (Size c = 0; c < 3; ++c) p[c] = static_cast<std::uint8_t>(std::lround(p[c] + cover * (colour[c] - p[c])));
    }
  }
}

void line(Frame& frame, double x0, double y0, double x1, double y1, double size, const Colour& colour) {
  const int steps = std::max(1, static_cast<int>(std::ceil(std::hypot(x1 - x0, y1 - y0) / std::max(0.5, size))));
  for (int k = 0; k <= steps; ++k) dot(frame, x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps, size, colour);
}

// The ellipse with the body's second moments.
void outline(Frame& frame, const Observation& o, double scale, double size, const Colour& colour) {
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  const double a = 2 * std::sqrt(half + spread) * scale + size,
               b = 2 * std::sqrt(std::max(0.05, half - spread)) * scale + size;
  const double turn = 0.5 * std::atan2(2 * o.xy, o.xx - o.yy);
  double last_x = 0, last_y = 0;
  for (int k = 0; k <= 48; ++k) {
    const double angle = 6.283185307179586 * k / 48, u = a * std::cos(angle), v = b * std::sin(angle);
    const double x = o.x * scale + u * std::cos(turn) - v * std::sin(turn),
                 y = o.y * scale + u * std::sin(turn) + v * std::cos(turn);
    if (k) line(frame, last_x, last_y, x, y, size / 2, colour);
    last_x = x, last_y = y;
  }
}

void fill(Frame& frame, int left, int top, int right, int bottom, const Colour& colour) {
  for (int y = std::max(0, top); y < std::min(frame.height(), bottom); ++y) {
    for (int x = std::max(0, left); x < std::min(frame.width(), right); ++x) {
      for (Size c = 0; c < 3; ++c) frame.at(x, y)[c] = static_cast<std::uint8_t>(colour[c]);
    }
  }
}

// Track ids of the violated laws about then.
std::set<int> concerned(const PhysicsScore& score, int index) {
  std::set<int> out;
  for (const LawResult& law : score.laws) {
    if (law.violated && law.frame >= 0 && index >= law.frame - 1 && index <= law.frame + 8)
      out.insert(law.bodies.begin(), law.bodies.end());
  }
  return out;
}

}  // namespace

void draw_overlay(Frame& frame, int index, const Tracks& tracks, const PhysicsScore& score) {
  if (tracks.height <= 0 || frame.empty()) return;
  const double scale = static_cast<double>(frame.height()) / tracks.height;
  const double size = std::max(0.6, frame.height() / 320.0);
  const std::set<int> broken = concerned(score, index);
  for (const Track& track : tracks.tracks) {
    if (!track.moves) continue;
    const Colour& colour = broken.count(track.id) ? kRed : kColours[static_cast<Size>(track.id) % kColours.size()];
    for (int t = std::max(1, index - 40); t <= index && t < static_cast<int>(track.frames.size()); ++t) {
      const Observation &a = track.frames[static_cast<Size>(t) - 1], &b = track.frames[static_cast<Size>(t)];
      if (a.visible && b.visible) line(frame, a.x * scale, a.y * scale, b.x * scale, b.y * scale, size / 2, colour);
    }
    if (index < static_cast<int>(track.frames.size()) && track.frames[static_cast<Size>(index)].visible)
      outline(frame, track.frames[static_cast<Size>(index)], scale, size, colour);
  }
  const bool known = static_cast<Size>(index) < score.frames.size();
  const double here = known ? score.frames[static_cast<Size>(index)] : 1;
  const int bar = std::max(2, frame.height() / 80), length = static_cast<int>(std::lround(here * frame.width()));
  fill(frame, 0, frame.height() - bar, frame.width(), frame.height(), {60, 20, 20});
  fill(frame, 0, frame.height() - bar, length, frame.height(), {40, 200, 80});
  if (here >= 0.5) return;
  fill(frame, 0, 0, frame.width(), bar, kRed);
  fill(frame, 0, 0, bar, frame.height(), kRed);
  fill(frame, frame.width() - bar, 0, frame.width(), frame.height(), kRed);
}

}  // namespace orrery
