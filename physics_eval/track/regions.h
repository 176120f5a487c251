// Connected components of a mask or of a label picture.
#pragma once

#include <cstdint>
#include <vector>

namespace orrery::tracking {

/// A horizontal run of pixels [x0, x1) in row y.
struct Run {
  int y, x0, x1;
};

/// A connected set of pixels as runs in raster order.
struct Region {
  std::vector<Run> runs;
  int pixels = 0;
  std::uint8_t label = 0;
  int min_x = 0, min_y = 0, max_x = 0, max_y = 0;
};

/// 4-connected regions of equal non-zero labels in raster order of their first pixel. labels: [height, width].
std::vector<Region> find_regions(const std::vector<std::uint8_t>& labels, int width, int height);

}  // namespace orrery::tracking
