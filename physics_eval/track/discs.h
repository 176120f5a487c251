// Touching discs of one colour, told apart by their outline.
#pragma once

#include <vector>

#include "physics_eval/track/segment.h"

namespace orrery::tracking {

/// The discs that a region is made of, side by side: two or more whose areas add up to the region's, with necks between
/// them. Empty when it is anything else. Centres in pixels, first the one with the largest radius.
std::vector<Disc> touching_discs(const std::vector<Run>& runs);

}  // namespace orrery::tracking
