// Fluid volume: what is soft and of one colour keeps its area in the picture. (A view from the side, as deep
// everywhere.)
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"
#include "physics_eval/track/colour.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Visible area of all soft tracks with the colour of `like`, a frame; `open` when some of it is at the picture's
// border.
std::vector<double> area_of(const Context& context, const Path& like) {
  std::vector<double> out(static_cast<Size>(context.frames), 0);
  for (const Path& path : context.paths) {
    if (path.track != like.track && tracking::colour_distance(path.track->colour, like.track->colour) > 0.2) continue;
    for (int t = 0; t < context.frames; ++t) {
      if (path.seen[static_cast<Size>(t)]) out[static_cast<Size>(t)] += path.track->frames[static_cast<Size>(t)].area;
    }
  }
  return out;
}

}  // namespace

Verdict test_volume(const Context& context) {
  Verdict out;
  const Path* largest = nullptr;
  for (const Path& path : context.paths) {
    if (!path.rigid && (!largest || path.track->area > largest->track->area)) largest = &path;
  }
  const double picture = static_cast<double>(context.tracks->width) * context.tracks->height;
  if (!largest || largest->track->area < 0.02 * picture || context.frames < 12) return out;
  const std::vector<double> area = area_of(context, *largest);
  const double start = median({area.begin(), area.begin() + 6});
  if (start < 0.02 * picture) return out;
  out.applies = true;
  double most = 0;
  int first = -1;
  for (Size t = 6; t + 2 < area.size(); ++t) {
    const double grown = median({area[t - 1], area[t], area[t + 1], area[t + 2], area[t - 2]}) / start - 1;
    if (grown > 0.04 && first < 0) first = static_cast<int>(t);
    if (grown <= 0.04 && most < 0.08) first = -1;
    most = std::max(most, grown);
  }
  if (first >= 0)
    out.add(first, context.frames - 1, most / 0.1, {largest->track->id}, say("the fluid grows by %.0f%%", 100 * most));
  out.measured.push_back({"fluid_area", start, 0.01 * start, "px2"});
  return out;
}

}  // namespace orrery::laws
