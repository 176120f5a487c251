// Plane geometry of the fluid worlds: vectors, solids as signed distances (metres, y up, negative inside a solid).
#pragma once

#include <cmath>
#include <vector>

#include "physics_eval/worlds/vec2.h"

namespace orrery::fluid {

using worlds::Vec2;

/// A point's distance to a solid, the direction out of it, and the velocity of the solid there.
struct Contact {
  double distance = 1e9;
  Vec2 normal, velocity;
};

/// A straight piece of wall with round ends.
struct Wall {
  Vec2 a, b;
  double half_thickness = 0;
};

/// Walls that move as one, on rails: at rest, or turning about `pivot` at `omega` rad/s (set by the scene).
/// Walls are given as they lie at angle 0. They should be at least two cells thick, or water seeps through.
struct Vessel {
  std::vector<Wall> walls;
  Vec2 pivot;
  double angle = 0, omega = 0;

  Vec2 velocity_at(Vec2 point) const { return {-omega * (point.y - pivot.y), omega * (point.x - pivot.x)}; }
  /// The walls as they lie now.
  std::vector<Wall> placed() const;
};

enum class BodyShape { disc, box };

/// A rigid body that water and gravity move. 2-D: mass and inertia are a metre of depth.
struct Body {
  BodyShape shape = BodyShape::box;
  /// Half width and half height; a disc has its radius in x.
  Vec2 half;
  double density = 500;
  double restitution = 0.2;
  Vec2 position, velocity;
  double angle = 0, omega = 0;

  double area() const;
  double mass() const { return density * area(); }
  double inertia() const;
  Vec2 velocity_at(Vec2 point) const {
    return {velocity.x - omega * (point.y - position.y), velocity.y + omega * (point.x - position.x)};
  }
};

/// Distances to placed solids; `normal` points out of the solid.
Contact contact(const Wall& wall, Vec2 point);
Contact contact(const Body& body, Vec2 point);

/// The part of an edge that lies inside a solid, from the distances at its two ends.
inline double fraction_inside(double a, double b) {
  if (a < 0 && b < 0) return 1;
  if (a >= 0 && b >= 0) return 0;
  return a < 0 ? a / (a - b) : b / (b - a);
}

}  // namespace orrery::fluid
