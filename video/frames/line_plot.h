// Curves on a page, for training logs and reports.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

struct Curve {
  std::string label;
  std::vector<std::pair<double, double>> points;  ///< (x, y) in order of x; points that are not finite are left out
  std::uint32_t colour = 0x4C8BF5;                ///< 0xRRGGBB
};

struct LinePlot {
  int width = 960, height = 320;
  std::string title, x_label;
};

/// Axes with round ticks over the range of all points, the curves, and a legend. Throws InputError without a finite
/// point, or for a page too small to hold the axes.
Frame make_line_plot(std::span<const Curve> curves, const LinePlot& options = {});

/// Pages of one width below each other.
Frame stack_frames(std::span<const Frame> frames);

}  // namespace orrery
