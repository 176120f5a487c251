// The simulators against the closed forms of mechanics, and their energies over ten seconds.
#include <cmath>
#include <numbers>

#include "physics_eval/worlds/discs.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery::worlds;

namespace {

constexpr double kPi = std::numbers::pi;

Disc ball(Vec2 position, Vec2 velocity, double radius = 0.2, double mass = 1) {
  Disc disc;
  disc.position = position;
  disc.velocity = velocity;
  disc.radius = radius;
  disc.mass = mass;
  return disc;
}

// Arithmetic–geometric mean: the exact period of a pendulum is 2π √(l/g) / agm(1, cos(θ/2)).
double agm(double a, double b) {
  for (int i = 0; i < 40; ++i) {
    const double mean = 0.5 * (a + b);
    b = std::sqrt(a * b);
    a = mean;
  }
  return a;
}

}  // namespace

TEST_CASE("free fall follows the parabola", "[worlds]") {
  DiscSystem system;
  system.gravity = {0, -9.81};
  system.discs = {ball({1, 50}, {2, 3})};
  for (int frame = 1; frame <= 48; ++frame) {
    system.advance(1.0 / 24);
    const double t = frame / 24.0;
    // Rounding only: a thousand substeps of 1e-16 · 50 m.
    CHECK(system.discs[0].position.x == Approx(1 + 2 * t).margin(1e-11));
    CHECK(system.discs[0].position.y == Approx(50 + 3 * t - 0.5 * 9.81 * t * t).margin(1e-11));
    CHECK(system.discs[0].velocity.y == Approx(3 - 9.81 * t).margin(1e-11));
  }
}

TEST_CASE("a dropped ball rises by the square of its restitution at each bounce", "[worlds]") {
  DiscSystem system;
  system.gravity = {0, -8};
  system.walls = {{{0, 0}, {0, 1}, kFloor}};
  system.discs = {ball({0, 2.2}, {0, 0})};
  system.discs[0].restitution = 0.9;
  double highest = 0, before = 0;
  std::vector<double> tops;
  for (int i = 0; i < 8000; ++i) {
    system.advance(1.0 / 1000);
    const double vy = system.discs[0].velocity.y;
    highest = std::max(highest, system.discs[0].position.y - 0.2);
    if (before > 0 && vy <= 0) tops.push_back(highest);
    if (vy > 0 && before <= 0) highest = 0;
    before = vy;
  }
  REQUIRE(tops.size() >= 5);
  // A top is sampled within 1 ms, i.e. within g·(1 ms)²/2 = 4e-6 m.
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(tops[i] == Approx(2 * std::pow(0.81, static_cast<double>(i + 1))).margin(5e-6));
}

TEST_CASE("an elastic ball in a room keeps its energy", "[worlds]") {
  WorldSpec spec;
  for (const std::uint64_t seed : {1, 2, 3}) {
    spec.seed = seed;
    spec.overrides = {{"restitution", 1.0}};
    World world(spec);
    const double start = world.truth().energy();
    double worst = 0;
    for (int frame = 0; frame < 240; ++frame) {
      world.step();
      worst = std::max(worst, std::abs(world.truth().energy() / start - 1));
    }
    CAPTURE(seed, worst);
    CHECK(worst < 1e-6);  // the issue asks for 5e-3
  }
}

TEST_CASE("elastic collisions obey the two-body formula", "[worlds]") {
  DiscSystem system;
  system.discs = {ball({0, 0}, {2, 0}, 0.3, 1.5), ball({2, 0}, {-1, 0}, 0.2, 0.5)};
  system.advance(1.5);
  // v1' = ((m1 − m2) v1 + 2 m2 v2) / (m1 + m2) and its mirror.
  CHECK(system.discs[0].velocity.x == Approx((1.0 * 2 + 2 * 0.5 * -1) / 2).margin(1e-12));
  CHECK(system.discs[1].velocity.x == Approx((-1.0 * -1 + 2 * 1.5 * 2) / 2).margin(1e-12));
  // They met after (2 − 0.5)/3 s, at 1 m; the rest of the time they part.
  CHECK(system.discs[0].position.x == Approx(1 + system.discs[0].velocity.x * 1.0).margin(1e-9));
  const auto contacts = system.take_contacts();
  REQUIRE(contacts.size() == 1);
  CHECK(contacts[0].impulse == Approx(2 * (1.5 * 0.5 / 2) * 3).margin(1e-12));
}

TEST_CASE("an oblique elastic collision keeps momentum and energy", "[worlds]") {
  DiscSystem system;
  system.discs = {ball({0, 0.1}, {2, 0.3}, 0.3, 1.5), ball({2, 0}, {-1, 0.2}, 0.2, 0.5)};
  system.advance(1.5);
  Vec2 momentum;
  double energy = 0;
  for (const Disc& disc : system.discs) {
    momentum += disc.velocity * disc.mass;
    energy += 0.5 * disc.mass * dot(disc.velocity, disc.velocity);
  }
  CHECK(momentum.x == Approx(1.5 * 2 - 0.5).margin(1e-12));
  CHECK(momentum.y == Approx(1.5 * 0.3 + 0.5 * 0.2).margin(1e-12));
  CHECK(energy == Approx(0.75 * (4 + 0.09) + 0.25 * (1 + 0.04)).margin(1e-12));
  CHECK(system.discs[0].velocity.y != Approx(0.3).margin(1e-3));  // it did collide off centre
}

TEST_CASE("a sliding ball ends up rolling at the speed that mechanics says", "[worlds]") {
  DiscSystem system;
  system.gravity = {0, -9.81};
  system.walls = {{{0, 0}, {0, 1}, kFloor}};
  system.discs = {ball({0, 0.2}, {3, 0})};
  system.discs[0].friction = 0.4;
  system.advance(2.0);
  // Angular momentum about the floor is kept: v = v0 / (1 + 0.4).
  CHECK(system.discs[0].velocity.x == Approx(3 / 1.4).margin(1e-6));
  CHECK(system.discs[0].omega == Approx(-3 / 1.4 / 0.2).margin(1e-5));
  CHECK(system.discs[0].position.y == Approx(0.2).margin(1e-9));
}

TEST_CASE("balls piled in a corner come to rest without sinking", "[worlds]") {
  DiscSystem system;
  system.gravity = {0, -9.81};
  system.walls = {{{0, 0}, {0, 1}, kFloor}, {{0, 0}, {1, 0}, kLeftWall}, {{1, 0}, {-1, 0}, kRightWall}};
  for (int i = 0; i < 4; ++i) {
    system.discs.push_back(ball({0.3 + 0.1 * i, 0.5 + 0.5 * i}, {0, 0}, 0.2));
    system.discs.back().restitution = 0.6;
    system.discs.back().friction = 0.3;
  }
  system.advance(12);
  for (const Disc& disc : system.discs) {
    CHECK(length(disc.velocity) < 0.02);
    CHECK(disc.position.y > 0.2 - 1e-6);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = i + 1; j < 4; ++j)
      CHECK(length(system.discs[i].position - system.discs[j].position) > 0.4 - 1e-5);
  }
}

TEST_CASE("the pendulum's period is the elliptic integral's", "[worlds]") {
  WorldSpec spec;
  spec.scene = "pendulum";
  spec.fps = 1000;
  spec.overrides = {{"gravity", 9.81}, {"rod", 0.5}, {"view_height", 4}, {"angle", 60}, {"from_right", 1}};
  World world(spec);
  const double energy = world.truth().energy();
  // Two downward passes through the lowest point from the right are one period apart.
  std::vector<double> passes;
  double last = world.truth().bodies[0].angle, worst = 0;
  while (world.frame() < 10000) {
    world.step();
    const double angle = world.truth().bodies[0].angle;
    if (last > 0 && angle <= 0) passes.push_back(world.truth().t - 1e-3 * -angle / (last - angle));
    last = angle;
    worst = std::max(worst, std::abs(world.truth().energy() / energy - 1));
  }
  REQUIRE(passes.size() >= 3);
  const double period = 2 * kPi * std::sqrt(2.0 / 9.81) / agm(1, std::cos(30 * kPi / 180));
  // The pass is interpolated in a straight line within 1 ms: an error below 1e-6 s.
  CHECK((passes.back() - passes.front()) / static_cast<double>(passes.size() - 1) == Approx(period).margin(1e-6));
  CHECK(worst < 1e-8);
}

TEST_CASE("the spring follows the cosine", "[worlds]") {
  WorldSpec spec;
  spec.scene = "spring";
  spec.overrides = {{"frequency", 0.8}, {"amplitude", 0.15}, {"view_height", 4}, {"stretched", 1}, {"hanging", 1}};
  World world(spec);
  const double top = world.truth().bodies[0].position.y;
  for (int frame = 1; frame < 240; ++frame) {
    world.step();
    // Stretched: it starts 0.6 m below the rest position.
    CHECK(world.truth().bodies[0].position.y - top ==
          Approx(0.6 * (1 - std::cos(2 * kPi * 0.8 * frame / 24))).margin(1e-10));
  }
}

TEST_CASE("the orbit is Kepler's ellipse", "[worlds]") {
  WorldSpec spec;
  spec.scene = "orbit";
  spec.fps = 1000;
  spec.overrides = {{"period", 3},      {"eccentricity", 0.25}, {"farthest", 0.4},
                    {"view_height", 4}, {"angle", 0},           {"clockwise", 0}};
  World world(spec);
  const double a = 1.6 / 1.25, e = 0.25, energy = world.truth().energy();
  double nearest = 1e9, worst = 0;
  for (int frame = 1; frame <= 10000; ++frame) {
    world.step();
    const Vec2 place = world.truth().bodies[0].position - Vec2{2, 2};
    nearest = std::min(nearest, length(place));
    worst = std::max(worst, std::abs(world.truth().energy() / energy - 1));
    if (frame % 3000 == 0) {
      CHECK(place.x == Approx(1.6).margin(1e-6));
      CHECK(place.y == Approx(0).margin(1e-5));
    }
    // On the ellipse: r = a (1 − e²) / (1 − e cos φ), far end at φ = 0.
    CHECK(length(place) == Approx(a * (1 - e * e) / (1 - e * place.x / length(place))).margin(1e-6));
  }
  CHECK(nearest == Approx(a * (1 - e)).margin(1e-6));
  CHECK(worst < 1e-8);
}

TEST_CASE("conservative scenes keep their energy for ten seconds", "[worlds]") {
  WorldSpec spec;
  for (const char* scene : {"pendulum", "double-pendulum", "cradle", "spring", "orbit"}) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      spec.scene = scene;
      spec.seed = seed;
      spec.split = seed < 3 ? Split::in_distribution : Split::out_of_distribution;
      World world(spec);
      const double start = world.truth().energy();
      double worst = 0;
      while (world.frame() < 240) {
        world.step();
        worst = std::max(worst, std::abs(world.truth().energy() / start - 1));
      }
      CAPTURE(scene, seed, worst);
      CHECK(worst < 1e-4);  // the issue asks for 5e-3
    }
  }
}

TEST_CASE("the cradle hands one ball's swing to the other end", "[worlds]") {
  WorldSpec spec;
  spec.scene = "cradle";
  spec.fps = 240;
  spec.overrides = {{"count", 5}, {"lifted", 1}, {"from_right", 0}, {"angle", 15}, {"gravity", 9}};
  World world(spec);
  double far_right = 0, inner = 0;
  while (world.truth().t < 2) {
    world.step();
    far_right = std::max(far_right, world.truth().bodies[4].angle);
    if (world.truth().t < 1) inner = std::max(inner, std::abs(world.truth().bodies[2].angle));
  }
  CHECK(far_right == Approx(15 * kPi / 180).margin(0.01));
  CHECK(inner < 0.03);
}
