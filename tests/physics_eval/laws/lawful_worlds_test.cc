// Lawful worlds as drawn and tracked, where tracks made by hand would be too clean.
#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery;

TEST_CASE("many small balls that meet often break no law, as drawn at 64 pixels", "[laws][collision]") {
  // In two of these a body's answer to a push is too small to be an event of its own.
  for (const std::uint64_t seed : {4u, 10u, 12u}) {
    worlds::WorldSpec spec;
    spec.scene = "collide";
    spec.seed = seed;
    worlds::World world(spec);
    std::vector<Frame> frames;
    for (int f = 0; f < 240; ++f) {
      if (f > 0) world.step();
      frames.push_back(world.draw());
    }
    INFO("seed " << seed);
    CHECK(score_physics(track(frames, spec.fps)).score > 0.9);
  }
}

TEST_CASE("dominoes that fall over one another break no law", "[laws]") {
  for (const std::uint64_t seed : {3u, 5u, 8u}) {
    worlds::WorldSpec spec;
    spec.scene = "dominoes";
    spec.seed = seed;
    spec.width = spec.height = 96;
    worlds::World world(spec);
    std::vector<Frame> frames;
    for (int f = 0; f < 48; ++f) {
      if (f > 0) world.step();
      frames.push_back(world.draw());
    }
    INFO("seed " << seed);
    CHECK(score_physics(track(frames, spec.fps)).score > 0.9);
  }
}

TEST_CASE("a tower that lies in pieces for most of ten seconds is on no rods", "[laws]") {
  worlds::WorldSpec spec;
  spec.scene = "stack";
  spec.seed = 5;
  spec.width = spec.height = 96;
  worlds::World world(spec);
  std::vector<Frame> frames;
  for (int f = 0; f < 240; ++f) {
    if (f > 0) world.step();
    frames.push_back(world.draw());
  }
  CHECK(score_physics(track(frames, spec.fps)).score > 0.9);
}
