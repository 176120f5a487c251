// Boxes and balls of known size that touch in one region: where each is, from the picture of all of them together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "physics_eval/track/background.h"
#include "physics_eval/track/segment.h"

namespace orrery::tracking {

/// The outline of a rigid body: a box of two sides, or a ball, whose radius is half of both. Pixels.
struct RigidShape {
  double width = 0, height = 0;
  bool ball = false;

  bool known() const { return width > 0; }
  double area() const;
  /// The outline of what has this area and these central second moments; unknown where that is neither box nor ball.
  static RigidShape of(double area, double xx, double xy, double yy);
};

/// A body of known outline; the angle is of its first side, in radians from x to y.
struct RigidBody {
  RigidShape shape;
  double x = 0, y = 0, angle = 0;
  /// Share of its area that is there and that none of the others takes, 0 to 1; how far its outline
  /// is off on average, pixels; and the standard error of x and y.
  double support = 0, misfit = 0, sigma = 0;

  double xx() const;
  double xy() const;
  double yy() const;
  /// Share of a pixel at (px, py) that lies within it.
  double cover(double px, double py) const;
};

/// Moves the bodies to where their pictures add up to the map best (Levenberg–Marquardt over places and angles, each
/// held near where it began: nothing else tells where along a seam a box lies). The pixels that no body
/// explains and whose four neighbours none explains either.
int fit_rigid(const CoverageMap& map, std::span<RigidBody> bodies);

/// The angle at which a body of this outline lies in a region that shows it alone.
double angle_of(const RigidShape& shape, const Segment& segment);

/// `angle` turned by what leaves the outline as it is, to the one nearest to `near`.
double nearest_angle(const RigidShape& shape, double angle, double near);

}  // namespace orrery::tracking
