#include "physics_eval/track/touching.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr double kSameColour = 0.15;
constexpr double kThere = 0.65;   // of a body's area: less is not there
constexpr double kMisfit = 0.35;  // of an outline, pixels: blur has 0.1 to 0.2, a box that became a ball 0.5 and more
constexpr double kChanged = 0.45, kSure = 0.25;  // the misfit of what it was and of what it became

// The segment that each pixel belongs to, or -1.
std::vector<int> segment_picture(const std::vector<Segment>& found, int width, int height) {
  std::vector<int> at(static_cast<Size>(width) * static_cast<Size>(height), -1);
  for (Size s = 0; s < found.size(); ++s) {
    for (const Run& run : found[s].runs)
      std::fill_n(at.begin() + run.y * width + run.x0, run.x1 - run.x0, static_cast<int>(s));
  }
  return at;
}

// The segment of its colour that most of the body would lie in, or -1.
int home_of(const Foretold& foretold, const std::vector<Segment>& found, const std::vector<int>& at, int width,
            int height) {
  const RigidBody& body = foretold.body;
  std::vector<double> share(found.size(), 0);
  const double reach = 0.5 * std::hypot(body.shape.width, body.shape.height) + 1;
  const int x0 = std::max(0, static_cast<int>(body.x - reach)),
            x1 = std::min(width, static_cast<int>(body.x + reach) + 1),
            y0 = std::max(0, static_cast<int>(body.y - reach)),
            y1 = std::min(height, static_cast<int>(body.y + reach) + 1);
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      const int s = at[static_cast<Size>(y * width + x)];
      if (s >= 0) share[static_cast<Size>(s)] += body.cover(x + 0.5, y + 0.5);
    }
  }
  for (Size s = 0; s < found.size(); ++s) {
    if (colour_distance(foretold.colour, found[s].colour) > kSameColour) share[s] = 0;
  }
  const auto best = std::max_element(share.begin(), share.end());
  return best != share.end() && *best > 0.35 * body.shape.area() ? static_cast<int>(best - share.begin()) : -1;
}

// Segments that adjoin one another, in groups.
std::vector<std::vector<Size>> adjoining(Size count, const std::vector<int>& at, Size width) {
  std::vector<Size> leader(count);
  for (Size s = 0; s < count; ++s) leader[s] = s;
  const auto find = [&](Size s) {
    while (leader[s] != s) s = leader[s];
    return s;
  };
  const auto join = [&](int a, int b) {
    if (a < 0 || b < 0 || a == b) return;
    const Size first = find(static_cast<Size>(a)), second = find(static_cast<Size>(b));
    leader[std::max(first, second)] = std::min(first, second);
  };
  for (Size i = 0; i < at.size(); ++i) {
    if ((i + 1) % width != 0) join(at[i], at[i + 1]);
    if (i + width < at.size()) join(at[i], at[i + width]);
  }
  std::vector<std::vector<Size>> groups(count);
  for (Size s = 0; s < count; ++s) groups[find(s)].push_back(s);
  std::erase_if(groups, [](const std::vector<Size>& group) { return group.empty(); });
  return groups;
}

bool fits(const Placed& placed) { return placed.body.misfit < kMisfit; }

// Those of one fit to the map, and the pixels that none explains.
int fit(const CoverageMap& map, std::vector<Placed>& placed) {
  std::vector<RigidBody> bodies;
  for (const Placed& p : placed) bodies.push_back(p.body);
  const int unexplained = fit_rigid(map, bodies);
  for (Size i = 0; i < bodies.size(); ++i) placed[i].body = bodies[i];
  return unexplained;
}

// The one that fits worst became what it may have become, and now all fit.
bool place_changed(const CoverageMap& map, std::vector<Placed>& placed, double allowed) {
  const auto by_misfit = [](const Placed& a, const Placed& b) { return a.body.misfit < b.body.misfit; };
  std::vector<Placed> changed = placed;
  const auto worst = std::max_element(changed.begin(), changed.end(), by_misfit);
  if (!worst->other.known() || worst->body.misfit < kChanged) return false;
  std::swap(worst->body.shape, worst->other);
  if (fit(map, changed) >= allowed || !std::all_of(changed.begin(), changed.end(), fits)) return false;
  if (worst->body.misfit > kSure) return false;
  placed = std::move(changed);
  return true;
}

// Moves the bodies to where the map shows them; who is not there is left out. False when they do not explain it.
bool place_together(const CoverageMap& map, std::vector<Placed>& placed) {
  while (!placed.empty()) {
    double smallest = 1e9;
    for (const Placed& p : placed) smallest = std::min(smallest, p.body.shape.area());
    std::vector<Placed> found = placed;
    const int unexplained = fit(map, found);
    const auto least = std::min_element(
        found.begin(), found.end(), [](const Placed& a, const Placed& b) { return a.body.support < b.body.support; });
    if (least->body.support < kThere) {
      placed.erase(placed.begin() + (least - found.begin()));
      continue;
    }
    placed = std::move(found);
    if (unexplained >= 0.12 * smallest) return false;
    // What has a segment of its own and another shape than it had is measured as it is.
    std::erase_if(placed, [](const Placed& p) { return !p.shares && !fits(p); });
    if (std::all_of(placed.begin(), placed.end(), fits)) return true;
    return place_changed(map, placed, 0.12 * smallest);
  }
  return false;
}

}  // namespace

std::vector<Placed> place_touching(std::span<const Foretold> foretold, const std::vector<Segment>& found,
                                   const Frame& frame, const Background& background) {
  const auto is_box = [](const Foretold& f) { return !f.body.shape.ball; };
  std::vector<Placed> out;
  if (std::none_of(foretold.begin(), foretold.end(), is_box)) return out;
  const std::vector<std::uint8_t> mask = foreground_mask(frame, background);
  const std::vector<int> at = segment_picture(found, frame.width(), frame.height());
  std::vector<std::vector<Size>> members(found.size());
  for (Size k = 0; k < foretold.size(); ++k) {
    const int home = home_of(foretold[k], found, at, frame.width(), frame.height());
    if (home >= 0) members[static_cast<Size>(home)].push_back(k);
  }
  for (const std::vector<Size>& group : adjoining(found.size(), at, static_cast<Size>(frame.width()))) {
    std::vector<const Segment*> parts;
    std::vector<Placed> placed;
    bool boxes = false;
    double theirs = 0, others = 0;
    for (const Size s : group) (members[s].empty() ? others : theirs) += found[s].area;
    if (others > 0.2 * theirs) continue;  // in water, say
    for (const Size s : group) {
      if (!members[s].empty()) parts.push_back(&found[s]);
      for (const Size k : members[s]) {
        placed.push_back({foretold[k].track, s, members[s].size() > 1, foretold[k].body, foretold[k].other});
        boxes = boxes || is_box(foretold[k]);
      }
    }
    if (boxes && place_together(coverage_map(parts, mask, frame, background), placed))
      out.insert(out.end(), placed.begin(), placed.end());
  }
  return out;
}

}  // namespace orrery::tracking
