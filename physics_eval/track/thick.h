// Bodies without the rods, strings and springs that hold them.
#pragma once

#include <vector>

#include "physics_eval/track/regions.h"

namespace orrery::tracking {

/// The region without its thin parts: what a disc of a third of its largest inscribed radius can reach inside it.
/// Empty when all of it is thin (much longer than wide): a line, not a body.
std::vector<Run> thick_part(const Region& region);

}  // namespace orrery::tracking
