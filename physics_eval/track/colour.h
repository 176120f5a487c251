// Colours as the tracker compares them: chromaticity that shading leaves alone.
#pragma once

#include "physics_eval/track/track.h"

namespace orrery::tracking {

/// Opponent chromaticity in [-1, 1]²: red-green and yellow-blue over the largest channel. Scaling a colour (shading)
/// leaves it where it is; greys are at the origin.
struct Chroma {
  double u = 0, v = 0;
};

Chroma chroma(double r, double g, double b);
inline Chroma chroma(const TrackColour& c) { return chroma(c.r, c.g, c.b); }

/// The colour of that chromaticity whose largest channel is 255.
TrackColour full_colour(const Chroma& c);

/// Squared distance of two chromaticities; 0.1 is a small difference, 0.5 that of red and orange.
inline double chroma_distance2(const Chroma& a, const Chroma& b) {
  return (a.u - b.u) * (a.u - b.u) + (a.v - b.v) * (a.v - b.v);
}

/// Distance of two colours that shading moves little: chromaticity, and lightness with a quarter of its weight.
double colour_distance(const TrackColour& a, const TrackColour& b);

}  // namespace orrery::tracking
