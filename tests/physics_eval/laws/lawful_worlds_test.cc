// Lawful worlds as drawn and tracked, where tracks made by hand would be too clean.
#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// The score of a scene's clip; size 0: the worlds' own.
double score_of(const std::string& scene, std::uint64_t seed, int size, int count) {
  worlds::WorldSpec spec;
  spec.scene = scene;
  spec.seed = seed;
  if (size > 0) spec.width = spec.height = size;
  worlds::World world(spec);
  std::vector<Frame> frames;
  for (int f = 0; f < count; ++f) {
    if (f > 0) world.step();
    frames.push_back(world.draw());
  }
  return score_physics(track(frames, spec.fps)).score;
}

}  // namespace

TEST_CASE("many small balls that meet often break no law, as drawn at 64 pixels", "[laws][collision]") {
  // In two of these a body's answer to a push is too small to be an event of its own.
  for (const std::uint64_t seed : {4u, 10u, 12u}) {
    INFO("seed " << seed);
    CHECK(score_of("collide", seed, 0, 240) > 0.9);
  }
}

TEST_CASE("dominoes that fall over one another break no law", "[laws]") {
  for (const std::uint64_t seed : {3u, 5u, 8u}) {
    INFO("seed " << seed);
    CHECK(score_of("dominoes", seed, 96, 48) > 0.9);
  }
}

TEST_CASE("a tower that lies in pieces for most of ten seconds is on no rods", "[laws]") {
  CHECK(score_of("stack", 5, 96, 240) > 0.9);
}
