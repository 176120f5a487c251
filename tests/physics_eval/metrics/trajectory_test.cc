// Courses of bodies against true ones: known offsets give known errors.
#include "physics_eval/metrics/trajectory.h"

#include <cmath>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

Course course(double dx, double dy, double speed, int frames = 20) {
  Course out;
  out.fps = 10, out.frames = frames, out.metres = 2;
  Trajectory body;
  body.name = "ball";
  body.radius = 0.05;
  for (int t = 0; t < frames; ++t) {
    body.seen.push_back(1);
    body.x.push_back(0.2 + 0.01 * t + dx + speed * t / 10), body.y.push_back(0.5 + dy);
  }
  out.bodies.push_back(body);
  return out;
}

}  // namespace

TEST_CASE("equal courses have no error", "[trajectory]") {
  const TrajectoryScores s = compare_courses(course(0, 0, 0), course(0, 0, 0));
  CHECK(s.matched == 1);
  CHECK(s.missing == 0);
  CHECK(s.distance == Approx(0).margin(1e-12));
  CHECK(s.velocity == Approx(0).margin(1e-12));
  CHECK(s.pisa_iou == Approx(1));
  CHECK(s.pisa_chamfer == Approx(0).margin(1e-12));
}

TEST_CASE("known offsets give known errors", "[trajectory]") {
  const TrajectoryScores shifted = compare_courses(course(0.03, 0.04, 0), course(0, 0, 0));
  CHECK(shifted.distance == Approx(0.05));
  CHECK(shifted.distance_metres == Approx(0.1));
  CHECK(shifted.velocity == Approx(0).margin(1e-9));
  CHECK(shifted.pisa_l2 == Approx((0.03 + 0.04) / 2 / std::sqrt(2.0)));
  // Two discs a radius apart: 2π/3 − √3/2 of r² in common.
  const double common = 2 * 3.14159265358979 / 3 - std::sqrt(3.0) / 2;
  CHECK(shifted.pisa_iou == Approx(common / (2 * 3.14159265358979 - common)));
  const TrajectoryScores faster = compare_courses(course(0, 0, 0.02), course(0, 0, 0));
  CHECK(faster.velocity == Approx(0.02));
  CHECK(faster.velocity_metres == Approx(0.04));
}

TEST_CASE("bodies that are not there count", "[trajectory]") {
  Course two = course(0, 0, 0);
  two.bodies.push_back(two.bodies[0]);
  for (double& y : two.bodies[1].y) y += 0.3;
  const TrajectoryScores s = compare_courses(course(0, 0, 0), two);
  CHECK(s.matched == 1);
  CHECK(s.missing == 1);
  CHECK(s.pisa_iou == Approx(0.5));
  CHECK(compare_courses(two, course(0, 0, 0)).extra == 1);
  CHECK_THROWS_AS(compare_courses(two, Course{10, 0, 5, {}}), InputError);
  Course other = course(0, 0, 0);
  other.fps = 24;
  CHECK_THROWS_AS(compare_courses(other, two), InputError);
}
