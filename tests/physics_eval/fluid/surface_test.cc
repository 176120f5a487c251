// The drawn water: its area, its place, its smoothness.
#include "physics_eval/worlds/fluid/surface.h"

#include <cmath>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::fluid;

namespace {

Solver dam() {
  SolverOptions options;
  options.nx = options.ny = 48;
  options.cell = 4.0 / 48;
  Solver solver(options);
  solver.fill([](Vec2 p) { return p.x < 1.5 && p.y < 2; }, 1);
  return solver;
}

}  // namespace

TEST_CASE("drawn water keeps its area through a dam's break, at every size", "[fluid]") {
  Solver solver = dam();
  const double area = solver.water().mass / solver.options().density;
  for (int frame = 0; frame < 72; ++frame) {
    solver.advance(1.0 / 24);
    if (frame % 12) continue;
    for (const int size : {64, 200}) {
      const double pixel = 4.0 / size;
      const Surface surface = draw_surface(solver, {size, size, pixel, {}});
      INFO("frame " << frame << ", size " << size);
      CHECK(surface.area() * pixel * pixel == Approx(area).epsilon(0.03));
    }
  }
}

TEST_CASE("still water is drawn to its level and full below it", "[fluid]") {
  SolverOptions options;
  options.nx = options.ny = 48;
  options.cell = 4.0 / 48;
  Solver solver(options);
  solver.fill([](Vec2 p) { return p.y < 1.5; }, 1);
  solver.advance(1);
  const Surface surface = draw_surface(solver, {64, 64, 4.0 / 64, {}});
  for (int x = 2; x < 62; ++x) {
    double column = 0;
    for (int y = 0; y < 64; ++y) column += double{surface.at(x, y)};
    INFO("column " << x);
    CHECK(column == Approx(24).margin(0.35));  // 1.5 m of 4 m in 64 pixels
    for (int y = 44; y < 64; ++y) CHECK(surface.at(x, y) > 0.99f);
    CHECK(surface.at(x, 36) == 0.0f);
  }
}

TEST_CASE("a lone drop is seen, where it is and no larger than it is", "[fluid]") {
  SolverOptions options;
  options.nx = options.ny = 48;
  options.cell = 4.0 / 48;
  Solver solver(options);
  Particle drop;
  drop.position = {2.03, 3.01};
  solver.particles().push_back(drop);
  const int size = 256;
  const double pixel = 4.0 / size;
  const Surface surface = draw_surface(solver, {size, size, pixel, {}});
  double x = 0, y = 0;
  for (int row = 0; row < size; ++row)
    for (int column = 0; column < size; ++column) {
      x += double{surface.at(column, row)} * (column + 0.5);
      y += double{surface.at(column, row)} * (row + 0.5);
    }
  REQUIRE(surface.area() > 0);
  CHECK(x / surface.area() * pixel == Approx(2.03).margin(0.1 * pixel));
  CHECK((size - y / surface.area()) * pixel == Approx(3.01).margin(0.1 * pixel));
  CHECK(surface.area() * pixel * pixel == Approx(options.cell * options.cell / 4).epsilon(0.25));
}

TEST_CASE("a view without pixels is refused", "[fluid]") {
  CHECK_THROWS_AS(draw_surface(dam(), {0, 64, 0.1, {}}), InputError);
}
