// Fluids: what is of one colour and flows keeps its area in the picture (a view from the side, as deep everywhere), and
// neither vanishes nor jumps.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"
#include "physics_eval/track/colour.h"

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

// How far a grey thing beside the fluid, piece of a vessel that it may be, has been lifted by each frame, pixels.
std::vector<double> lift_of_vessels(const Context& context) {
  std::vector<double> out(static_cast<Size>(context.frames), 0);
  for (const Path& path : context.paths) {
    const tracking::Chroma c = tracking::chroma(path.track->colour);
    if (path.fluid >= 0 || path.round || !path.track->moves || c.u * c.u + c.v * c.v > 0.2 * 0.2) continue;
    const auto beside = [&](const Path& water) {
      int frames = 0;
      for (int t = 0; water.fluid >= 0 && t < context.frames; ++t) frames += touching(path, water, t, 3);
      return frames > 3;
    };
    const int first = path.track->first();
    if (first < 0 || std::none_of(context.paths.begin(), context.paths.end(), beside)) continue;
    double most = 0;
    for (int t = first; t < context.frames; ++t) {
      const Size i = static_cast<Size>(t);
      if (path.seen[i]) most = std::max(most, path.at[static_cast<Size>(first)].y - path.at[i].y);
      out[i] = std::max(out[i], most);
    }
  }
  return out;
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
  // What spreads into drops too thin to see is not gone; what is gone at once, or by half, is.
  double least = 0;
  int lost = -1;
  for (Size t = 6; t + 2 < area.size(); ++t) {
    const double missing = 1 - median({area[t - 1], area[t], area[t + 1], area[t + 2], area[t - 2]}) / start;
    if (missing > 0.12 && lost < 0) lost = static_cast<int>(t);
    least = std::max(least, missing);
  }
  if (lost >= 0 && least < 0.85)
    out.add(lost, context.frames - 1, least / 0.25, {}, say("the fluid shrinks by %.0f%%", 100 * least));
  double most = 0;
  int first = -1;
  for (Size t = 6; t + 2 < area.size(); ++t) {
    const double grown = median({area[t - 1], area[t], area[t + 1], area[t + 2], area[t - 2]}) / start - 1;
    if (grown > 0.04 && first < 0) first = static_cast<int>(t);
    if (grown <= 0.04 && most < 0.08) first = -1;
    most = std::max(most, grown);
  }
  if (first >= 0) out.add(first, context.frames - 1, most / 0.14, {}, say("the fluid grows by %.0f%%", 100 * most));
  out.measured.push_back({"fluid_area", start, 0.01 * start, "px2"});
  return out;
}

void test_fluid_permanence(const Context& context, Verdict& out) {
  const int which = fluid_of(context);
  if (which < 0) return;
  const ColourArea& fluid = context.tracks->colours[static_cast<Size>(which)];
  const double picture = static_cast<double>(context.tracks->width) * context.tracks->height;
  const double most = *std::max_element(fluid.area.begin(), fluid.area.end());
  if (context.frames < 12 || most < 0.01 * picture) return;
  out.applies = true;
  for (Size t = 3; t + 3 < fluid.area.size(); ++t) {
    const double before = median({fluid.area[t - 3], fluid.area[t - 2], fluid.area[t - 1]}),
                 after = median({fluid.area[t + 1], fluid.area[t + 2], fluid.area[t + 3]});
    const double step = (after - before) / most;
    if (std::abs(step) > 0.6) {
      out.add(static_cast<int>(t), static_cast<int>(t) + 3, 3 * std::abs(step), {},
              step < 0 ? "the fluid vanishes" : "the fluid appears");
      return;
    }
    if (std::abs(step) > 0.1) continue;
    const Vec jump{fluid.x[t + 1] - 3 * fluid.x[t] + 3 * fluid.x[t - 1] - fluid.x[t - 2],
                   fluid.y[t + 1] - 3 * fluid.y[t] + 3 * fluid.y[t - 1] - fluid.y[t - 2]};
    const double size = length(jump) / (0.08 * context.tracks->height);
    if (size > 0.8)
      out.add(static_cast<int>(t), static_cast<int>(t) + 1, std::min(3.0, size), {},
              say("the fluid jumps %.1f px", length(jump)));
  }
}

void test_fluid_rise(const Context& context, Verdict& out) {
  const int which = fluid_of(context);
  if (which < 0) return;
  const ColourArea& fluid = context.tracks->colours[static_cast<Size>(which)];
  if (too_little(context, fluid)) return;
  for (const Path& path : context.paths) {
    // A vessel that is lifted lifts what is in it.
    if (path.fluid >= 0 && path.attached && path.track->area > 0.3 * fluid.area[0]) return;
  }
  const std::vector<double> lift = lift_of_vessels(context);
  out.applies = true;
  const double start = *std::min_element(fluid.y.begin(), fluid.y.begin() + 4);
  double most = 0, lowest = start;
  int first = -1;
  for (Size t = 4; t < fluid.y.size(); ++t) {
    if (fluid.area[t] < 1) continue;
    lowest = std::max(lowest, fluid.y[t]);
    // Above where it began; of what it fell it gets back a part.
    const double rise = (std::max(start - fluid.y[t], lowest - fluid.y[t] - 0.6 * (lowest - start)) - lift[t]) /
                        (0.05 * context.tracks->height);
    if (rise > 0.5 && first < 0) first = static_cast<int>(t);
    most = std::max(most, rise);
  }
  if (first >= 0) out.add(std::max(0, first - 3), context.frames - 1, most, {}, "the fluid climbs by itself");
}

}  // namespace orrery::laws
