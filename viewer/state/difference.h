// Two pictures against each other.
#pragma once

#include <cstdint>

#include "video/frames/frame.h"

namespace orrery::viewer {

/// A share in [0, 1] as a colour that also colour-blind eyes order rightly: dark blue over grey to bright yellow
/// (cividis: Nuñez, Anderton and Renslow 2018). 0xRRGGBB.
std::uint32_t heat(double share);

/// Where and how much `b` differs from `a`: a's picture in faint grey, over it heat of the mean absolute difference of
/// the channels, full at a quarter of the range. `b` is brought to a's size. Throws InputError for empty frames.
Frame difference(const Frame& a, const Frame& b);

/// Both beside each other at the height of `a`, with a gap of 4 pixels.
Frame side_by_side(const Frame& a, const Frame& b);

}  // namespace orrery::viewer
