#include "physics_eval/worlds/sample.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace orrery::worlds {
namespace {

void check(const SampleOptions& options) {
  ORRERY_CHECK(options.frames >= 1, "[worlds] ", options.frames, " frames a clip, expected at least 1");
  ORRERY_CHECK(options.action_stride >= 1 && options.action_rows >= 1 && options.action_gap > 0,
               "[worlds] action stride ", options.action_stride, ", rows ", options.action_rows, ", gap ",
               options.action_gap, ", expected at least 1, at least 1, above 0");
}

// A push at the cell under a body that is in the picture, so that what the action names is where something is.
Action draw_push(const World& world, const SampleOptions& options, Random& random) {
  const auto& bodies = world.truth().bodies;
  std::vector<const BodyState*> seen;
  for (const BodyState& body : bodies) {
    if (body.visible > 0.5) seen.push_back(&body);
  }
  Action action;
  if (seen.empty()) return action;
  const BodyState& body = *seen[random.below(seen.size())];
  action.push = static_cast<Push>(1 + random.below(4));
  const double rows = options.action_rows, columns = std::max(1.0, std::round(rows * options.width / options.height));
  const double width = options.width * world.metres_per_pixel(), height = options.height * world.metres_per_pixel();
  const auto cell = [](double share, double count) {
    return (std::clamp(std::floor(share * count), 0.0, count - 1) + 0.5) / count;
  };
  action.u = cell(body.position.x / width, columns);
  action.v = cell(1 - body.position.y / height, rows);
  return action;
}

}  // namespace

WorldSpec sample_spec(std::uint64_t seed, std::uint64_t index, const SampleOptions& options) {
  Random random = Random(seed, name_hash("clip")).fork(index);
  WorldSpec spec;
  spec.width = options.width;
  spec.height = options.height;
  spec.fps = options.fps;
  spec.split = options.split;
  spec.smooth_background = options.smooth_backgrounds;
  if (!options.scenes.empty()) {
    spec.scene = options.scenes[random.below(options.scenes.size())];
  } else {
    double total = 0;
    for (const SceneInfo& row : scene_registry()) total += row.weight;
    double at = random.uniform(0, total);
    for (const SceneInfo& row : scene_registry()) {
      if (row.weight <= 0) continue;
      spec.scene = row.name;
      if (at < row.weight) break;
      at -= row.weight;
    }
  }
  spec.seed = random.next_u64() >> 11;  // fits a double, hence any JSON reader
  return spec;
}

ClipSample sample_clip(std::uint64_t seed, std::uint64_t index, const SampleOptions& options) {
  check(options);
  const WorldSpec spec = sample_spec(seed, index, options);
  World world(spec);
  Random random(spec.seed, name_hash("actions"));
  const bool acting = random.chance(options.action_share);
  const double chance = std::min(1.0, options.action_stride / options.action_gap);
  ClipSample sample;
  sample.scene = spec.scene;
  sample.caption = world.caption();
  sample.frames.resize(static_cast<std::size_t>(options.frames));
  sample.actions.resize(static_cast<std::size_t>(options.frames));
  sample.annotations = world.describe();
  for (int f = 0; f < options.frames; ++f) {
    const auto at = static_cast<std::size_t>(f);
    if (f > 0) {
      if (acting && (f - 1) % options.action_stride == 0 && random.chance(chance)) {
        sample.actions[at] = draw_push(world, options, random);
        world.push(sample.actions[at]);
      }
      world.step();
    }
    world.draw(sample.frames[at]);
    if (options.annotate) sample.annotations.frames.push_back(world.truth());
  }
  return sample;
}

}  // namespace orrery::worlds
