// Several bodies of one colour as a whole: together they show one centre and one amount of colour, whoever is who. What
// starts from rest and is pushed by nothing does not lift its centre above where it was (ΔΣ m h ≤ 0), and what does not
// overlap covers as much of the picture throughout.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"
#include "physics_eval/track/colour.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

struct Crowd {
  const ColourArea* colour = nullptr;
  std::vector<Size> members;
  /// Frames in which nothing of another colour is beside a member and no member is cut by the picture's border.
  std::vector<char> whole;
  /// First frame in which another colour's body is beside a member.
  int met = 0;
  /// Area of one body and of all, pixels².
  double body = 0, all = 0;
};

bool of_colour(const Path& path, const ColourArea& colour) {
  return tracking::chroma_distance2(tracking::chroma(path.track->colour), tracking::chroma(colour.colour)) <
         0.25 * 0.25;
}

// Colours of at least two bodies that are there from the start; fluids flow.
std::vector<Crowd> find_crowds(const Context& context) {
  std::vector<Crowd> out;
  for (const ColourArea& colour : context.tracks->colours) {
    Crowd crowd;
    crowd.colour = &colour;
    crowd.met = context.frames;
    int there = 0, fluid = 0;
    std::vector<double> areas;
    for (Size b = 0; b < context.paths.size(); ++b) {
      const Path& path = context.paths[b];
      if (!of_colour(path, colour)) continue;
      crowd.members.push_back(b);
      fluid += path.fluid >= 0;
      if (path.track->first() > 2) continue;
      ++there;
      areas.push_back(path.track->area);
    }
    if (there < 2 || fluid > 0) continue;
    crowd.body = median(std::move(areas));
    std::vector<double> whole;
    for (int t = 0; t < context.frames; ++t) {
      bool alone = true, cut = false;
      for (const Size b : crowd.members) {
        const Size i = static_cast<Size>(t);
        cut = cut || (context.paths[b].seen[i] && context.paths[b].track->frames[i].cut);
        for (Size j = 0; j < context.paths.size() && alone; ++j)
          alone = of_colour(context.paths[j], colour) || !touching(context.paths[b], context.paths[j], t, 2.5);
      }
      if (!alone) crowd.met = std::min(crowd.met, t);
      crowd.whole.push_back(alone && !cut);
      if (crowd.whole.back()) whole.push_back(colour.area[static_cast<Size>(t)]);
    }
    if (whole.size() < 12 || crowd.body < 24) continue;
    crowd.all = median(std::move(whole));
    out.push_back(std::move(crowd));
  }
  return out;
}

// How far the speed of the first frames could lift the centre under the weakest pull that shows, pixels: v² / 2 g a
// member, as many as there are. Negative: a spring holds one of them, which stores more than that.
double first_lift(const Context& context, const Crowd& crowd) {
  const double pull = 1e-3 * context.tracks->height * (24 / context.tracks->fps) * (24 / context.tracks->fps);
  double square = 0;
  int held = 0;
  for (const Size b : crowd.members) {
    const Path& path = context.paths[b];
    held += path.attached;
    if (!path.seen[0] || !path.seen[2]) continue;
    const double speed = 0.5 * length(path.at[2] - path.at[0]);
    square += speed * speed * path.track->frames[0].area;
  }
  return held == 1 ? -1 : square / crowd.all / (2 * pull);
}

}  // namespace

void test_crowd_rise(const Context& context, Verdict& out) {
  for (const Crowd& crowd : find_crowds(context)) {
    const double lift = first_lift(context, crowd);
    if (lift < 0) continue;
    const std::vector<double>& y = crowd.colour->y;
    const double start = *std::min_element(y.begin(), y.begin() + 4);
    double most = 0;
    int lowest = 0, first = -1;
    for (int t = 0; t < crowd.met; ++t) {
      const Size i = static_cast<Size>(t);
      if (std::abs(crowd.colour->area[i] - crowd.all) > 0.15 * crowd.all) continue;
      const double rise = (start - lift - y[i]) / (0.04 * context.tracks->height);
      if (first < 0 && y[i] >= y[static_cast<Size>(lowest)]) lowest = t;
      if (rise > 0.5 && first < 0) first = lowest;
      most = std::max(most, rise);
    }
    if (first >= 0)
      out.add(first, context.frames - 1, std::min(4.0, most), {},
              say("what is %s climbs above where it began", colour_name(crowd.colour->colour)));
  }
}

void test_crowd_overlap(const Context& context, Verdict& out) {
  for (const Crowd& crowd : find_crowds(context)) {
    const auto missing = [&](int t) {
      return crowd.whole[static_cast<Size>(t)] ? crowd.all - crowd.colour->area[static_cast<Size>(t)] : 0.0;
    };
    const double least = std::max(0.15 * crowd.body, 0.05 * crowd.all);
    bool was_whole = false;
    int first = -1;
    std::vector<double> run;
    for (int t = 1; t <= context.frames; ++t) {
      const double here = t < context.frames ? missing(t) : 0;
      if (here > least) {
        // What is gone from one frame to the next has vanished, not gone behind another.
        if (run.empty() && (!was_whole || here > 0.7 * crowd.body)) continue;
        if (run.empty()) first = t;
        run.push_back(here);
        continue;
      }
      if (run.size() >= 3) {
        std::sort(run.begin(), run.end());
        out.add(first, first + static_cast<int>(run.size()), run[run.size() * 2 / 3] / (2 * least), {},
                say("what is %s covers itself by %.0f%% of a body", colour_name(crowd.colour->colour),
                    100 * run.back() / crowd.body));
      }
      run.clear();
      was_whole = t < context.frames && crowd.whole[static_cast<Size>(t)];
    }
  }
}

}  // namespace orrery::laws
