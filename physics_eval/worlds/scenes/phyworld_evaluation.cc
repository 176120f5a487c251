// The sets on which PhyWorld's published errors were measured: grids of speeds and radii, in distribution and at
// several levels out of it, less the clips that its simulator gives up and its evaluator skips.
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/worlds/scenes/phyworld.h"

namespace orrery::worlds {
namespace {

// `count` values from low to high, both ends included.
struct Axis {
  double low, high;
  int count;
  double pick(Random& random) const {
    return low + (high - low) * static_cast<double>(random.below(static_cast<std::uint64_t>(count))) / (count - 1);
  }
};

// One level: all combinations of its axes. A lone ball has no second axes.
struct Grid {
  std::vector<Axis> radius, speed;
  double clips() const {
    double product = 1;
    for (const auto* axes : {&radius, &speed}) {
      for (const Axis& axis : *axes) product *= axis.count;
    }
    return product;
  }
};

constexpr Axis kSlow16{0, 0.8, 16}, kFast16{4.5, 6, 16}, kSmall8{0.3, 0.6, 8}, kLarge8{1.5, 2, 8};

std::vector<Grid> one_ball(bool uniform, Split split) {
  const auto speed = [](int count) { return Axis{1, 4, count}; };
  const auto radius = [](int count) { return Axis{0.7, 1.4, count}; };
  if (split == Split::in_distribution) return {Grid{{radius(uniform ? 30 : 10)}, {speed(uniform ? 100 : 16)}}};
  const int few = uniform ? 8 : 4;
  return {Grid{{kSmall8}, {speed(few)}}, Grid{{radius(few)}, {kSlow16}}, Grid{{kSmall8}, {kSlow16}},
          Grid{{kLarge8}, {speed(16)}},  Grid{{radius(10)}, {kFast16}},  Grid{{kLarge8}, {kFast16}},
          Grid{{kSmall8}, {kFast16}},    Grid{{kLarge8}, {kSlow16}}};
}

std::vector<Grid> two_balls(Split split) {
  if (split == Split::in_distribution) {
    const Axis speed{1, 4, 4}, radius{0.5, 1.5, 4};
    return {Grid{{radius, radius}, {speed, speed}}};
  }
  const Axis speed{1, 4, 3}, radius{0.5, 1.5, 3}, slow{0, 0.8, 4}, fast{4.5, 6, 4}, small{0.3, 0.4, 3},
      large{1.7, 2, 4};
  std::vector<Grid> grids = {Grid{{radius, radius}, {slow, fast}}, Grid{{small, large}, {speed, speed}},
                             Grid{{small, large}, {slow, fast}}, Grid{{large, small}, {slow, fast}}};
  for (const auto& [r, v] : {std::pair{small, slow}, std::pair{large, fast}}) {
    grids.insert(grids.end(),
                 {Grid{{r, radius}, {speed, speed}}, Grid{{radius, radius}, {v, speed}}, Grid{{r, r}, {speed, speed}},
                  Grid{{radius, radius}, {v, v}}, Grid{{r, radius}, {v, speed}}, Grid{{r, r}, {v, v}}});
  }
  return grids;
}

// Its evaluator skips small balls; its simulator gives up where eight frames do not fit before the contact.
bool counts(const std::vector<double>& radius, const std::vector<double>& speed) {
  if (radius.size() == 1) return radius[0] >= 0.6;
  const double gap = 10 - 2 * (radius[0] + radius[1]);
  return radius[0] > 0.5 && radius[1] > 0.5 && gap > 0.8 * (speed[0] + speed[1]);
}

std::vector<double> pick(const std::vector<Axis>& axes, Random& random) {
  std::vector<double> values;
  for (const Axis& axis : axes) values.push_back(axis.pick(random));
  return values;
}

}  // namespace

WorldSpec phyworld_evaluation_spec(const std::string& scene, Split split, std::uint64_t index, std::uint64_t seed) {
  const bool two = scene == "phyworld-collision", uniform = scene == "phyworld-uniform";
  ORRERY_CHECK(two || uniform || scene == "phyworld-parabola", "[worlds] ", scene, " is no PhyWorld scene");
  const std::vector<Grid> grids = two ? two_balls(split) : one_ball(uniform, split);
  double all = 0;
  for (const Grid& grid : grids) all += grid.clips();
  Random random = Random(seed, name_hash(scene + (split == Split::in_distribution ? "-in" : "-out"))).fork(index);
  WorldSpec spec;
  spec.scene = scene;
  spec.split = split;
  spec.seed = random.next_u64() >> 11;
  spec.width = spec.height = 256;
  spec.fps = 10;
  std::vector<double> radius, speed;
  do {
    double at = random.uniform(0, all);
    std::size_t chosen = 0;
    while (chosen + 1 < grids.size() && at >= grids[chosen].clips()) at -= grids[chosen++].clips();
    radius = pick(grids[chosen].radius, random), speed = pick(grids[chosen].speed, random);
  } while (!counts(radius, speed));
  for (std::size_t i = 0; i < radius.size(); ++i) {
    spec.overrides["radius" + std::to_string(i + 1)] = radius[i];
    spec.overrides["speed" + std::to_string(i + 1)] = speed[i];
  }
  return spec;
}

}  // namespace orrery::worlds
