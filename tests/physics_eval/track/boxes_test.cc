// Boxes that touch: places and angles from the picture of all of them, and tracks of a row that falls over.
#include <cmath>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/track/rigid_fit.h"
#include "physics_eval/track/touching.h"
#include "physics_eval/track/track.h"
#include "tests/support/catch.h"
#include "tests/support/draw_scene.h"

using namespace orrery;
using namespace orrery::test;
using tracking::CoverageMap;
using tracking::RigidBody;
using tracking::RigidShape;

namespace {

constexpr double kPi = 3.14159265358979323846;

// Share of the pixel at column x, row y that a body covers, by 16 × 16 points.
double covered(const RigidBody& body, int x, int y) {
  const double c = std::cos(body.angle), s = std::sin(body.angle);
  int inside = 0;
  for (int j = 0; j < 16; ++j) {
    for (int i = 0; i < 16; ++i) {
      const double dx = x + (i + 0.5) / 16 - body.x, dy = y + (j + 0.5) / 16 - body.y;
      inside += body.shape.ball ? std::hypot(dx, dy) < body.shape.width / 2
                                : std::abs(c * dx + s * dy) < body.shape.width / 2 &&
                                      std::abs(c * dy - s * dx) < body.shape.height / 2;
    }
  }
  return inside / 256.0;
}

CoverageMap map_of(const std::vector<RigidBody>& bodies, int width, int height) {
  CoverageMap map{0, 0, width, height, {}, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      double sum = 0;
      for (const RigidBody& body : bodies) sum += covered(body, x, y);
      map.value.push_back(static_cast<float>(std::min(1.0, sum)));
      map.known.push_back(1);
    }
  }
  return map;
}

// A slab that leans about its lower right corner.
struct Slab {
  double tall, thin, foot_x, foot_y;

  RigidBody at(double lean) const {
    const double c = std::cos(lean), s = std::sin(lean);
    const double dx = -thin / 2, dy = -tall / 2;
    return {{tall, thin, false}, foot_x + c * dx - s * dy, foot_y + s * dx + c * dy, kPi / 2 + lean};
  }
  // The largest lean with which its upper right corner stays out of the next slab.
  double most(const Slab& next, double next_lean) const {
    double low = 0, high = 1.5;
    for (int k = 0; k < 40; ++k) {
      const double lean = (low + high) / 2;
      const double dx = foot_x + tall * std::sin(lean) - next.foot_x, dy = foot_y - tall * std::cos(lean) - next.foot_y;
      (std::cos(next_lean) * dx + std::sin(next_lean) * dy < -next.thin ? low : high) = lean;
    }
    return low;
  }
};

}  // namespace

TEST_CASE("boxes and a ball that touch are placed to a tenth of a pixel from two pixels away", "[track]") {
  Random random(7, 0);
  for (int round = 0; round < 20; ++round) {
    const double lean = 0.2 + 0.5 * random.uniform(), x = 14 + random.uniform(), y = 20 + random.uniform();
    // A standing box, one that leans on it with a corner at its side, a ball on the other side.
    const RigidShape slab{16, 5, false}, block{12, 10, false}, ball{9, 9, true};
    const double across = 8 * std::sin(lean) + 2.5 * std::cos(lean);
    std::vector<RigidBody> truth{
        {block, x, y, kPi / 2}, {slab, x + 5 + across, y + 1.5, kPi / 2 + lean}, {ball, x - 9.5, y + 2, 0}};
    const CoverageMap map = map_of(truth, 48, 40);
    std::vector<RigidBody> found = truth;
    for (RigidBody& body : found) {
      body.x += random.uniform() * 3 - 1.5, body.y += random.uniform() * 3 - 1.5;
      body.angle += random.uniform() * 0.2 - 0.1;
    }
    CHECK(tracking::fit_rigid(map, found) == 0);
    for (std::size_t k = 0; k < truth.size(); ++k) {
      INFO("round " << round << ", body " << k << " at " << found[k].x << ", " << found[k].y << ", not " << truth[k].x
                    << ", " << truth[k].y);
      CHECK(std::hypot(found[k].x - truth[k].x, found[k].y - truth[k].y) < 0.1);
      if (!truth[k].shape.ball) CHECK(std::abs(found[k].angle - truth[k].angle) < 0.03);
      CHECK(found[k].support > 0.9);
      CHECK(found[k].misfit < 0.2);
    }
  }
}

TEST_CASE("a box that is not there, or another shape, shows in the fit", "[track]") {
  const RigidShape slab{16, 5, false}, block{10, 10, false};
  const double side = 2 * std::sqrt(100 / kPi);
  // Two were foretold, one is there.
  std::vector<RigidBody> two{{slab, 20, 20, kPi / 2}, {slab, 25.5, 20, kPi / 2}};
  const CoverageMap one = map_of({two[0]}, 48, 40);
  tracking::fit_rigid(one, two);
  CHECK(std::min(two[0].support, two[1].support) < 0.6);
  // One was foretold, two are there.
  std::vector<RigidBody> single{{slab, 20, 20, kPi / 2}};
  CHECK(tracking::fit_rigid(map_of({{slab, 20, 20, kPi / 2}, {slab, 25.5, 20, kPi / 2}}, 48, 40), single) > 10);
  // A box became a ball of its area.
  std::vector<RigidBody> changed{{block, 20, 20, 0.3}};
  tracking::fit_rigid(map_of({{{side, side, true}, 20, 20, 0}}, 48, 40), changed);
  CHECK(changed[0].misfit > 0.4);
}

TEST_CASE("an outline is told from moments: boxes, balls, neither", "[track]") {
  const double blur = 1.0 / 12;
  const RigidShape box = RigidShape::of(96, 12 * 12 / 12.0 + blur, 0, 8 * 8 / 12.0 + blur);
  CHECK_FALSE(box.ball);
  CHECK(std::abs(box.width - 12) < 0.05);
  CHECK(std::abs(box.height - 8) < 0.05);
  CHECK(RigidShape::of(kPi * 36, 9 + blur, 0, 9 + blur).ball);
  CHECK_FALSE(RigidShape::of(2 * kPi * 36, 9 + 36 + blur, 0, 9 + blur).known());  // two balls side by side
  CHECK_FALSE(RigidShape::of(60, 40, 0, 12).known());                             // a ragged thing
}

TEST_CASE("boxes of one colour that fall against one another keep their names and places", "[track]") {
  const std::vector<Slab> slabs{{24, 5, 24, 80}, {24, 5, 37, 80}, {24, 5, 50, 80}};
  std::vector<std::vector<RigidBody>> truth;
  std::vector<Frame> frames;
  for (int t = 0; t < 30; ++t) {
    double lean[3];
    lean[2] = t < 14 ? 0 : 0.003 * (t - 14) * (t - 14);
    lean[1] = std::min(slabs[1].most(slabs[2], lean[2]), t < 7 ? 0 : 0.06 * (t - 7));
    lean[0] = std::min(slabs[0].most(slabs[1], lean[1]), 0.06 * t);
    frames.push_back(draw_ground(96, 96, Ground::plain));
    truth.emplace_back();
    for (std::size_t k = 0; k < 3; ++k) {
      const RigidBody body = truth.back().emplace_back(slabs[k].at(lean[k]));
      draw_box(frames.back(), body.x, body.y, body.shape.width, body.shape.height, body.angle, kRed);
    }
  }
  const Tracks tracks = track(frames, 24);
  REQUIRE(tracks.tracks.size() == 3);
  for (const Track& track : tracks.tracks) {
    double worst = 0;
    std::size_t who = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      if (std::abs(track.frames[0].x - truth[0][k].x) < std::abs(track.frames[0].x - truth[0][who].x)) who = k;
    }
    for (std::size_t t = 0; t < frames.size(); ++t) {
      const Observation& o = track.frames[t];
      INFO("slab " << who << ", frame " << t);
      REQUIRE(o.visible);
      worst = std::max(worst, std::hypot(o.x - truth[t][who].x, o.y - truth[t][who].y));
    }
    INFO("slab " << who << " is off by " << worst);
    CHECK(worst < 0.3);
  }
}

TEST_CASE("a box foretold beside others that is a ball of its area is placed as one", "[track]") {
  const RigidShape slab{24, 8, false}, block{14, 12, false};
  const double radius = std::sqrt(block.area() / kPi);
  for (const bool changed : {false, true}) {
    Frame frame = draw_ground(96, 96, Ground::plain);
    draw_box(frame, 40, 60, 24, 8, kPi / 2, kRed);
    if (changed) {
      draw_ball(frame, 44 + radius - 0.3, 66, radius, kRed, 0);
    } else {
      draw_box(frame, 51, 66, 14, 12, 0, kRed);
    }
    std::vector<Frame> frames(9, draw_ground(96, 96, Ground::plain));
    frames.push_back(frame);
    const auto background = tracking::find_background(frames, false);
    const auto found =
        tracking::find_segments(frame, background, tracking::find_palette(frames, background), 6).segments;
    REQUIRE(found.size() == 1);
    const std::vector<tracking::Foretold> foretold{
        {0, {slab, 40.3, 60, kPi / 2}, found[0].colour, {}},
        {1, {block, 51.2, 66, 0}, found[0].colour, {2 * radius, 2 * radius, true}}};
    const auto placed = tracking::place_touching(foretold, found, frame, background);
    INFO((changed ? "a ball" : "a box") << " where a box was foretold: " << placed.size() << " placed");
    REQUIRE(placed.size() == 2);
    CHECK(placed[1].body.shape.ball == changed);
    CHECK(std::abs(placed[1].body.x - (changed ? 44 + radius - 0.3 : 51)) < 0.3);
  }
}
