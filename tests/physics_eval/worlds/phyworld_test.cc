// PhyWorld's scenarios: the ranges, the renderer, and the published errors of the ground truth under its own evaluator.
#include "physics_eval/metrics/phyworld.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "physics_eval/worlds/sample.h"
#include "physics_eval/worlds/scenes/phyworld.h"
#include "tests/support/catch.h"
#include "tests/video/io/support.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

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

// Of the published evaluation's set; its figures leave the last of 32 frames out.
constexpr int kClips = 60;
constexpr std::size_t kJudged = 31;

// The mean over clips in distribution of `figure` of clip, pitch.
template <class Figure>
double mean_over(const char* scene, PixelPitch pitch, Figure figure) {
  double sum = 0;
  int count = 0;
  for (std::uint64_t i = 0; i < kClips; ++i) {
    const double value = figure(make(phyworld_evaluation_spec(scene, Split::in_distribution, i, 77)), pitch);
    if (std::isfinite(value)) sum += value, ++count;
  }
  CHECK(count >= kClips - 2);
  return sum / count;
}

// Through H.264 at x264's own quality (CRF 23).
std::vector<Frame> compressed(const std::vector<Frame>& frames) {
  const orrery::testing::Scratch scratch;
  WriteOptions options;
  options.quality = 62;  // CRF 51 − 0.45 · 62
  write_video(scratch / "a.mp4", Clip{5, frames}, options);
  return read_video(scratch / "a.mp4").frames;
}

PhyWorldOne judge(const Made& made, PixelPitch pitch) {
  std::vector<std::array<double, 2>> truth = first(made);
  truth.resize(kJudged);
  return phyworld_one(std::span(made.frames).first(kJudged), truth, made.initial.radius[0], made.initial.speed[0],
                      pitch);
}

}  // namespace

TEST_CASE("the ground truth has the published errors", "[worlds]") {
  const auto uniform = [](const Made& made, PixelPitch pitch) { return judge(made, pitch).mean_speed_error; };
  CHECK(mean_over("phyworld-uniform", PixelPitch::published, uniform) == Approx(0.0099).epsilon(0.15));
  CHECK(mean_over("phyworld-uniform", PixelPitch::renderer, uniform) == Approx(0.0006).epsilon(0.15));
  const auto parabola = [](const Made& made, PixelPitch pitch) { return judge(made, pitch).mean_velocity_error; };
  CHECK(mean_over("phyworld-parabola", PixelPitch::published, parabola) == Approx(0.0210).epsilon(0.15));
  // The published clips went through H.264 twice (data set, then judged file), which few frames after a contact do not
  // average out: 0.0095 as drawn.
  const auto collision = [](const Made& made, PixelPitch pitch) {
    const std::vector<Frame> frames = compressed(compressed(made.frames));
    return phyworld_two(std::span(frames).first(kJudged), std::span(made.truth).first(kJudged), made.initial, pitch)
        .after_mean_v_error;
  };
  CHECK(mean_over("phyworld-collision", PixelPitch::published, collision) == Approx(0.0117).epsilon(0.15));
}

TEST_CASE("the evaluation's clips are the published grids'", "[worlds]") {
  const auto on_grid = [](double value, double low, double high, int count) {
    const double at = (value - low) / (high - low) * (count - 1);
    return std::abs(at - std::round(at)) < 1e-9 && at > -0.5 && at < count - 0.5;
  };
  int fast = 0, slow = 0, large = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto in = phyworld_evaluation_spec("phyworld-parabola", Split::in_distribution, i, 1).overrides;
    CHECK(on_grid(in.at("speed1"), 1, 4, 16));
    CHECK(on_grid(in.at("radius1"), 0.7, 1.4, 10));
    const auto pair = phyworld_evaluation_spec("phyworld-collision", Split::in_distribution, i, 1).overrides;
    CHECK(on_grid(pair.at("speed2"), 1, 4, 4));
    CHECK(on_grid(pair.at("radius2"), 0.5, 1.5, 4));
    CHECK(pair.at("radius1") > 0.5);
    CHECK(10 - 2 * (pair.at("radius1") + pair.at("radius2")) > 0.8 * (pair.at("speed1") + pair.at("speed2")));
    const auto out = phyworld_evaluation_spec("phyworld-uniform", Split::out_of_distribution, i, 1).overrides;
    const double v = out.at("speed1"), r = out.at("radius1");
    CAPTURE(v, r);
    CHECK(r >= 0.6);
    const bool usual = v >= 1 && v <= 4 && r >= 0.7 && r <= 1.4;
    CHECK_FALSE(usual);
    fast += v >= 4.5, slow += v <= 0.8, large += r >= 1.5;
  }
  // Of the published 960 clips out of distribution with a radius of 0.6 or more, by level.
  CHECK(fast > 60);
  CHECK(slow > 60);
  CHECK(large > 60);
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
