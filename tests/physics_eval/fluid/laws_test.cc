// The water against closed forms and experiments: rest, mass, waves, a breaking dam, an outflow, floating bodies.
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/worlds/fluid/solver.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::fluid;

namespace {

constexpr double kG = 9.81;

SolverOptions grid(int nx, int ny, double cell) {
  SolverOptions options;
  options.nx = nx;
  options.ny = ny;
  options.cell = cell;
  return options;
}

// Area of water left of `x1` and right of `x0`, over the width: the mean depth there.
double depth_between(const Solver& solver, double x0, double x1) {
  double count = 0;
  for (const Particle& p : solver.particles()) count += p.position.x >= x0 && p.position.x < x1;
  return count * solver.options().cell * solver.options().cell / 4 / (x1 - x0);
}

bool all_finite_and_inside(const Solver& solver) {
  const double width = solver.options().nx * solver.options().cell,
               height = solver.options().ny * solver.options().cell;
  for (const Particle& p : solver.particles())
    if (!std::isfinite(p.velocity.x + p.velocity.y) ||
        !(p.position.x > 0 && p.position.x < width && p.position.y > 0 && p.position.y < height))
      return false;
  return true;
}

// Lets a body settle for `seconds`, then the means of its height and angle over eight more: it bobs for long, as water
// here has no viscosity but the grid's.
struct Rest {
  double height = 0, angle = 0;
};
Rest settled(Solver& solver, double seconds) {
  solver.advance(seconds);
  Rest mean;
  for (int k = 0; k < 192; ++k) {
    solver.advance(1.0 / 24);
    mean.height += solver.bodies()[0].position.y / 192;
    mean.angle += solver.bodies()[0].angle / 192;
  }
  return mean;
}

// Share of a disc's area that lies below a level `depth` above its lowest point, in radii.
double sunk_share(double depth) {
  const double half_angle = std::acos(1 - depth);
  return (half_angle - std::sin(half_angle) * std::cos(half_angle)) / std::numbers::pi;
}

}  // namespace

TEST_CASE("water at rest stays at rest, at its height", "[fluid]") {
  Solver solver(grid(32, 32, 0.1));
  solver.fill([](Vec2 p) { return p.y < 1.5; }, 1);
  const WaterState before = solver.water();
  const double mass = before.mass;
  CHECK(mass == Approx(1000 * 3.2 * 1.5).epsilon(1e-12));
  solver.advance(10);
  const WaterState after = solver.water();
  CHECK(after.mass == mass);
  // The centre of a column of 1.5 m is at 0.75 m; half a particle spacing would be 0.025.
  CHECK(after.centre.y == Approx(0.75).margin(0.004));
  CHECK(after.centre.x == Approx(1.6).margin(0.004));
  // Root-mean-square speed below 3 mm/s: a falling particle gains that in a third of a millisecond.
  CHECK(std::sqrt(2 * after.kinetic / mass) < 0.003);
  CHECK(solver.crowding() < 0.02);
  double top = 0;
  for (const Particle& p : solver.particles()) top = std::max(top, p.position.y);
  CHECK(top == Approx(1.5).margin(0.05));
}

TEST_CASE("a standing wave has the period of linear wave theory", "[fluid]") {
  // ω² = g k tanh(k h), k = π / L; crests of 3% of the depth.
  const double length = 4, depth = 1.6, k = std::numbers::pi / length;
  const double period = 2 * std::numbers::pi / std::sqrt(kG * k * std::tanh(k * depth));
  Solver solver(grid(48, 40, length / 48));
  solver.fill([&](Vec2 p) { return p.y < depth + 0.25 * std::cos(k * p.x); }, 3);
  std::vector<double> crossings;
  const double dt = 1.0 / 48, middle = length / 2;
  double last = solver.water().centre.x - middle;
  for (int step = 1; step * dt < 3.1 * period; ++step) {
    solver.advance(dt);
    const double now = solver.water().centre.x - middle;
    if (last * now < 0) crossings.push_back((step - now / (now - last)) * dt);
    last = now;
  }
  REQUIRE(crossings.size() >= 5);
  const double measured = 2 * (crossings.back() - crossings.front()) / static_cast<double>(crossings.size() - 1);
  CHECK(measured == Approx(period).epsilon(0.03));
}

TEST_CASE("a dam's front runs as fast as Martin and Moyce measured", "[fluid]") {
  // "An experimental study of the collapse of liquid columns", Phil. Trans. A 244, 1952, column a wide and 2a high:
  // front / a = 2.33 at t √(2g/a) = 1.98 and 3.89 at 3.11. A constant lag, while their gate was drawn, drops out.
  const double a = 0.8, unit = std::sqrt(a / (2 * kG));
  Solver solver(grid(80, 40, a / 16));
  solver.fill([&](Vec2 p) { return p.x < a && p.y < 2 * a; }, 5);
  const auto front = [&] {
    double most = 0;
    for (const Particle& p : solver.particles()) most = std::max(most, p.position.x);
    return most / a;
  };
  solver.advance(1.98 * unit);
  const double early = front();
  solver.advance((3.11 - 1.98) * unit);
  CHECK(front() - early == Approx(3.89 - 2.33).epsilon(0.08));
  // And nowhere faster than Ritter's front, 2 √(g h).
  CHECK((front() - early) * a / ((3.11 - 1.98) * unit) < 2 * std::sqrt(kG * 2 * a));
}

TEST_CASE("behind a broken dam the depth is four ninths, as Ritter's solution has it", "[fluid]") {
  const double h = 1;
  Solver solver(grid(192, 20, h / 16));
  solver.fill([&](Vec2 p) { return p.x < 6 && p.y < h; }, 7);
  // After the first fall of the face and before waves are back from the ends.
  solver.advance(4 * std::sqrt(h / kG));
  double sum = 0;
  for (int k = 0; k < 10; ++k) {
    solver.advance(0.1 * std::sqrt(h / kG));
    sum += depth_between(solver, 5.75, 6.25);
  }
  CHECK(sum / 10 == Approx(4.0 / 9 * h).epsilon(0.05));
}

TEST_CASE("a box floats at the depth that its density asks for", "[fluid][slow]") {
  for (const double ratio : {0.3, 0.5, 0.8}) {
    Solver solver(grid(40, 40, 0.1));
    Body box;
    box.half = {0.8, 0.4};
    box.density = 1000 * ratio;
    box.position = {2, 2.3};
    solver.fill([](Vec2 p) { return p.y < 1.8; }, 1);
    solver.add_body(box);
    const auto [height, angle] = settled(solver, 9);
    // The water's level with the sunk part in it.
    const double sunk = ratio * box.area();
    const double level = (4 * 1.8 + sunk) / 4;
    const double expected = level + box.half.y - 2 * box.half.y * ratio;
    INFO("ratio " << ratio << ": height " << height << ", expected " << expected << ", angle " << angle);
    // Two per cent of the box's height, or a sixth of a cell.
    CHECK(std::abs(height - expected) < 0.02 * 2 * box.half.y);
    CHECK(std::abs(angle) < 0.03);
  }
}

TEST_CASE("a ball floats with the share of its area that its density asks for under water", "[fluid][slow]") {
  for (const double ratio : {0.35, 0.7}) {
    Solver solver(grid(40, 40, 0.1));
    Body ball;
    ball.shape = BodyShape::disc;
    ball.half = {0.5, 0.5};
    ball.density = 1000 * ratio;
    ball.position = {2, 2.6};
    solver.fill([](Vec2 p) { return p.y < 1.8; }, 1);
    solver.add_body(ball);
    const double height = settled(solver, 9).height;
    const double level = (4 * 1.8 + ratio * ball.area()) / 4;
    const double share = sunk_share((level - (height - 0.5)) / 0.5);
    INFO("ratio " << ratio << ": share " << share);
    CHECK(std::abs(share - ratio) < 0.03);
  }
}

TEST_CASE("a body denser than water sinks and lies on the floor", "[fluid]") {
  Solver solver(grid(32, 32, 0.1));
  Body box;
  box.half = {0.3, 0.3};
  box.density = 2500;
  box.position = {1.6, 1.2};
  solver.fill([](Vec2 p) { return p.y < 1.5 && (p.x < 1.3 || p.x > 1.9 || p.y < 0.9); }, 1);
  solver.add_body(box);
  solver.advance(4);
  CHECK(solver.bodies()[0].position.y == Approx(0.3).margin(0.02));
}

TEST_CASE("water in free fall falls freely and keeps its momentum across", "[fluid]") {
  Solver solver(grid(40, 60, 0.1));
  solver.fill([](Vec2 p) { return length(p - Vec2{1.5, 4.8}) < 0.7; }, 2, {1.0, 0});
  const WaterState before = solver.water();
  solver.advance(0.75);
  const WaterState after = solver.water();
  CHECK(after.centre.y == Approx(before.centre.y - 0.5 * kG * 0.75 * 0.75).margin(0.03 * 2.76));
  CHECK(after.centre.x == Approx(before.centre.x + 0.75).margin(1e-3));
  CHECK(after.momentum.x == Approx(before.momentum.x).epsilon(1e-6));
  CHECK(after.momentum.y == Approx(-before.mass * kG * 0.75).epsilon(1e-6));
}

TEST_CASE("without gravity nothing starts to move; reversed, water rises", "[fluid]") {
  SolverOptions options = grid(24, 24, 0.1);
  options.gravity = {};
  Solver solver(options);
  solver.fill([](Vec2 p) { return p.y < 1; }, 1);
  solver.advance(2);
  CHECK(solver.water().kinetic < 1e-6);
  solver.set_gravity({0, kG});
  solver.advance(2);
  CHECK(solver.water().centre.y > 1.7);
}

TEST_CASE("swelling water grows by its factor and keeps its particles", "[fluid]") {
  Solver solver(grid(32, 40, 0.1));
  solver.fill([](Vec2 p) { return p.y < 1.2; }, 1);
  const double mass = solver.water().mass;
  for (int k = 1; k <= 48; ++k) {
    solver.set_swelling(1 + 0.5 * k / 48);
    solver.advance(1.0 / 24);
  }
  solver.advance(2);
  CHECK(solver.water().mass == mass);
  CHECK(solver.water().centre.y == Approx(0.9).margin(0.03));
  CHECK_THROWS_AS(solver.set_swelling(0), InputError);
}

TEST_CASE("a tilted jug pours its water into the glass below", "[fluid]") {
  Solver solver(grid(48, 48, 4.0 / 48));
  const double t = 0.09;
  Vessel glass;
  glass.walls = {{{1.2, 1.6}, {1.2, 0.2}, t}, {{1.2, 0.2}, {2.8, 0.2}, t}, {{2.8, 0.2}, {2.8, 1.6}, t}};
  Vessel jug;
  jug.walls = {{{0.3, 3.2}, {0.3, 2.2}, t}, {{0.3, 2.2}, {1.3, 2.2}, t}, {{1.3, 2.2}, {1.3, 3.2}, t}};
  jug.pivot = {1.3, 3.2};
  solver.add_vessel(glass);
  solver.add_vessel(jug);
  solver.fill([](Vec2 p) { return p.x > 0.3 && p.x < 1.3 && p.y > 2.2 && p.y < 2.9; }, 1);
  const auto count = solver.particles().size();
  solver.vessels()[1].omega = -0.9;
  solver.advance(2);
  solver.vessels()[1].omega = 0;
  solver.advance(3);
  double in_glass = 0;
  for (const Particle& p : solver.particles())
    in_glass += p.position.x > 1.2 && p.position.x < 2.8 && p.position.y < 1.6;
  CHECK(solver.particles().size() == count);
  CHECK(in_glass / static_cast<double>(count) > 0.9);
}

TEST_CASE("every step is the same twice", "[fluid]") {
  const auto run = [] {
    Solver solver(grid(32, 32, 0.1));
    Body body;
    body.half = {0.3, 0.2};
    body.position = {2, 2.2};
    solver.add_body(body);
    solver.fill([](Vec2 p) { return p.x < 1.2 && p.y < 2; }, 9);
    solver.advance(1.5);
    return solver.particles();
  };
  const std::vector<Particle> first = run(), second = run();
  REQUIRE(first.size() == second.size());
  CHECK(std::memcmp(first.data(), second.data(), first.size() * sizeof(Particle)) == 0);
}

TEST_CASE("ten seconds of the wildest settings stay finite, inside and whole", "[fluid]") {
  for (const double gravity : {1.5, 25.0})
    for (const double cell : {0.04, 0.2}) {
      SolverOptions options = grid(40, 40, cell);
      options.gravity = {0, -gravity};
      Solver solver(options);
      Body body;
      body.shape = gravity > 10 ? BodyShape::disc : BodyShape::box;
      body.half = {4 * cell, 4 * cell};
      body.density = cell > 0.1 ? 50 : 3000;
      body.position = {30 * cell, 35 * cell};
      body.velocity = {-20 * cell, -40 * cell};
      body.omega = 8;
      solver.add_body(body);
      solver.fill([cell](Vec2 p) { return p.x < 18 * cell && p.y < 34 * cell; }, 4);
      const double mass = solver.water().mass;
      for (int second = 0; second < 10; ++second) {
        solver.push_water({10 * cell, 5 * cell}, 6 * cell, {0, 60 * cell});
        solver.advance(1);
        INFO("gravity " << gravity << ", cell " << cell << ", second " << second);
        REQUIRE(all_finite_and_inside(solver));
        REQUIRE(std::isfinite(solver.bodies()[0].position.x + solver.bodies()[0].omega));
      }
      CHECK(solver.water().mass == mass);
      // Pushed every second, and still not falling apart or piling up.
      CHECK(solver.crowding() < 0.15);
    }
}

TEST_CASE("impossible settings are refused in one line", "[fluid]") {
  CHECK_THROWS_AS(Solver(grid(3, 8, 0.1)), InputError);
  CHECK_THROWS_AS(Solver(grid(8, 8, 0)), InputError);
  Solver solver(grid(8, 8, 0.1));
  Body body;
  CHECK_THROWS_AS(solver.add_body(body), InputError);
  body.half = {0.1, 0.1};
  solver.add_body(body);
  CHECK_THROWS_AS(solver.add_body(body), InputError);
}
