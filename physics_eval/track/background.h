// The picture without its bodies, from a clip with a fixed camera.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "video/frames/frame.h"

namespace orrery::tracking {

struct Background {
  Frame picture;
  /// Standard deviation of a channel around it, grey levels; at least that of rounding.
  double noise = 0;
  /// Distances (Euclidean, three channels) above which a pixel may be, and surely is, foreground.
  double low = 0, high = 0;
};

/// Median over time of up to 41 frames; then regions where a body rested for most of the clip are given back to the
/// background (its contour has edges in the median and none in the frames that show the region bare), and bodies that
/// never leave a place are painted over from around when `remove_still` and the background is plain enough to tell.
Background find_background(std::span<const Frame> frames, bool remove_still);

/// Squared distance of two pixels, three channels.
inline int pixel_distance2(const std::uint8_t* a, const std::uint8_t* b) {
  const int r = a[0] - b[0], g = a[1] - b[1], c = a[2] - b[2];
  return r * r + g * g + c * c;
}

/// The indices of at most `count` frames spread evenly over `frames`, first and last included.
std::vector<int> spread_indices(int frames, int count);

}  // namespace orrery::tracking
