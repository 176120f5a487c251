// Fluids: what is of one colour and flows keeps its area in the picture (a view from the side, as deep everywhere), and
// neither vanishes nor jumps.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// The fluid's index in Tracks::colours; -1 when there is none.
int fluid_of(const Context& context) {
  int best = -1;
  double most = 0;
  for (const Path& path : context.paths) {
    if (path.fluid < 0) continue;
    const double area = median(context.tracks->colours[static_cast<Size>(path.fluid)].area);
    if (area > most) most = area, best = path.fluid;
  }
  return best;
}

// Not enough of the fluid's first frames, or all of it cannot be weighed, to tell.
bool too_little(const Context& context, const ColourArea& fluid) {
  const double picture = static_cast<double>(context.tracks->width) * context.tracks->height;
  return context.frames < 12 || median({fluid.area.begin(), fluid.area.begin() + 6}) < 0.01 * picture;
}

}  // namespace

Verdict test_volume(const Context& context) {
  Verdict out;
  const int which = fluid_of(context);
  if (which < 0) return out;
  const ColourArea& fluid = context.tracks->colours[static_cast<Size>(which)];
  if (too_little(context, fluid)) return out;
  out.applies = true;
  const std::vector<double>& area = fluid.area;
  const double start = median({area.begin(), area.begin() + 6});
  double most = 0;
  int first = -1;
  for (Size t = 6; t + 2 < area.size(); ++t) {
    const double grown = median({area[t - 1], area[t], area[t + 1], area[t + 2], area[t - 2]}) / start - 1;
    if (grown > 0.04 && first < 0) first = static_cast<int>(t);
    if (grown <= 0.04 && most < 0.08) first = -1;
    most = std::max(most, grown);
  }
  if (first >= 0) out.add(first, context.frames - 1, most / 0.1, {}, say("the fluid grows by %.0f%%", 100 * most));
  out.measured.push_back({"fluid_area", start, 0.01 * start, "px2"});
  return out;
}

}  // namespace orrery::laws
