// PhyWorld's scenarios: the ranges, the renderer, and the published errors of the ground truth under its own evaluator.
#include "physics_eval/metrics/phyworld.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "physics_eval/worlds/sample.h"
#include "physics_eval/worlds/scenes/phyworld.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::worlds;

namespace {

struct Made {
  std::vector<Frame> frames;
  std::vector<std::array<std::array<double, 2>, 2>> truth;
  PhyWorldPair initial;
};

Made make(const WorldSpec& spec) {
  World world(spec);
  Made made;
  for (std::size_t i = 0; i < world.scene().bodies().size(); ++i) {
    made.initial.radius[i] = world.scene().bodies()[i].radius;
    made.initial.speed[i] = world.truth().extra.at("initial_speed" + std::to_string(i + 1));
  }
  for (int frame = 0; frame < 32; ++frame) {
    if (frame > 0) world.step();
    made.frames.push_back(world.draw());
    auto& at = made.truth.emplace_back();
    for (std::size_t i = 0; i < world.truth().bodies.size(); ++i)
      at[i] = {world.truth().bodies[i].position.x, world.truth().bodies[i].position.y};
  }
  return made;
}

WorldSpec spec_of(const char* scene, std::uint64_t index) {
  SampleOptions options;
  options.scenes = {scene};
  options.width = options.height = 256;
  options.fps = 10;
  return sample_spec(77, index, options);
}

std::vector<std::array<double, 2>> first(const Made& made) {
  std::vector<std::array<double, 2>> truth;
  for (const auto& at : made.truth) truth.push_back(at[0]);
  return truth;
}

// The grid of the published evaluation, thinned.
constexpr int kClips = 60;

}  // namespace

TEST_CASE("the ground truth of uniform motion has the published error", "[worlds]") {
  double uniform = 0, uniform_right = 0;
  for (int i = 0; i < kClips; ++i) {
    const Made one = make(spec_of("phyworld-uniform", static_cast<std::uint64_t>(i)));
    const auto error = [&](PixelPitch pitch) {
      return phyworld_one(one.frames, first(one), one.initial.radius[0], one.initial.speed[0], pitch).mean_speed_error;
    };
    uniform += error(PixelPitch::published) / kClips;
    uniform_right += error(PixelPitch::renderer) / kClips;
  }
  CAPTURE(uniform, uniform_right);
  CHECK(uniform == Approx(0.0099).epsilon(0.15));
  CHECK(uniform_right == Approx(0.0006).epsilon(0.15));
}

TEST_CASE("the states are PhyWorld's: saved after the step, ten steps a frame, elastic", "[worlds]") {
  const Made one = make(spec_of("phyworld-uniform", 1));
  for (std::size_t i = 1; i < one.truth.size(); ++i) {
    CHECK(one.truth[i][0][0] - one.truth[i - 1][0][0] == Approx(0.1 * one.initial.speed[0]).epsilon(1e-4));
  }
  const WorldSpec spec = spec_of("phyworld-parabola", 1);
  World world(spec);
  // Semi-implicit Euler: after one step the speed is 2.5 · 0.01.
  CHECK(world.truth().bodies[0].velocity.y == Approx(-0.025).epsilon(1e-5));
  CHECK(world.scene().bodies()[0].mass ==
        Approx(3.14159265 * std::pow(world.scene().bodies()[0].radius, 2)).epsilon(1e-5));
  const Made two = make(spec_of("phyworld-collision", 3));
  const double v1 = (two.truth[1][0][0] - two.truth[0][0][0]) / 0.1,
               u1 = (two.truth[31][0][0] - two.truth[30][0][0]) / 0.1;
  const double v2 = (two.truth[1][1][0] - two.truth[0][1][0]) / 0.1,
               u2 = (two.truth[31][1][0] - two.truth[30][1][0]) / 0.1;
  const double m1 = std::pow(two.initial.radius[0], 2), m2 = std::pow(two.initial.radius[1], 2);
  CHECK(m1 * v1 + m2 * v2 == Approx(m1 * u1 + m2 * u2).margin(1e-3));
  CHECK(v1 - v2 == Approx(u2 - u1).margin(1e-3));
}

TEST_CASE("parameters lie in PhyWorld's ranges", "[worlds]") {
  SampleOptions options;
  for (const char* scene : {"phyworld-uniform", "phyworld-collision", "phyworld-parabola"}) {
    options.scenes = {scene};
    for (const Split split : {Split::in_distribution, Split::out_of_distribution}) {
      options.split = split;
      const bool in = split == Split::in_distribution, two = std::string(scene) == "phyworld-collision";
      for (std::uint64_t i = 0; i < 100; ++i) {
        const World world(sample_spec(1, i, options));
        const double v = world.truth().extra.at("initial_speed1"), r = world.scene().bodies()[0].radius;
        CAPTURE(scene, v, r);
        CHECK((in ? v >= 1 && v <= 4 : (v >= 0 && v <= 0.8) || (v >= 4.5 && v <= 6)));
        if (two) CHECK((in ? r >= 0.5 && r <= 1.5 : (r >= 0.3 && r <= 0.4) || (r >= 1.7 && r <= 2)));
        if (!two) CHECK((in ? r >= 0.7 && r <= 1.4 : (r >= 0.3 && r <= 0.6) || (r >= 1.5 && r <= 2)));
      }
    }
  }
  const WorldSpec last = phyworld_grid_spec("phyworld-uniform", 29999, 300, 100, 1);
  CHECK(last.overrides.at("speed1") == 4);
  CHECK(last.overrides.at("radius1") == 1.4);
}
