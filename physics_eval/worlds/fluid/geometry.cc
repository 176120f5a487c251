#include "physics_eval/worlds/fluid/geometry.h"

#include <algorithm>
#include <numbers>

namespace orrery::fluid {

std::vector<Wall> Vessel::placed() const {
  std::vector<Wall> out = walls;
  for (Wall& wall : out) {
    wall.a = pivot + rotated(wall.a - pivot, angle);
    wall.b = pivot + rotated(wall.b - pivot, angle);
  }
  return out;
}

double Body::area() const {
  return shape == BodyShape::disc ? std::numbers::pi * half.x * half.x : 4 * half.x * half.y;
}

double Body::inertia() const {
  return shape == BodyShape::disc ? mass() * half.x * half.x / 2 : mass() * dot(half, half) / 3;
}

Contact contact(const Wall& wall, Vec2 point) {
  const Vec2 along = wall.b - wall.a;
  const double squared = dot(along, along);
  const double t = squared > 0 ? std::clamp(dot(point - wall.a, along) / squared, 0.0, 1.0) : 0.0;
  const Vec2 out = point - (wall.a + along * t);
  const double distance = length(out);
  Contact result;
  result.distance = distance - wall.half_thickness;
  // On the wall's very axis either side will do; the choice must only be the same every time.
  result.normal = distance > 1e-12 ? out * (1 / distance) : Vec2{-along.y, along.x} * (1 / std::sqrt(squared + 1e-30));
  return result;
}

Contact contact(const Body& body, Vec2 point) {
  Contact result;
  result.velocity = body.velocity_at(point);
  const Vec2 out = point - body.position;
  if (body.shape == BodyShape::disc) {
    const double distance = length(out);
    result.distance = distance - body.half.x;
    result.normal = distance > 1e-12 ? out * (1 / distance) : Vec2{0, 1};
    return result;
  }
  const Vec2 local = rotated(out, -body.angle);
  const Vec2 past{std::abs(local.x) - body.half.x, std::abs(local.y) - body.half.y};
  const Vec2 side{local.x < 0 ? -1.0 : 1.0, local.y < 0 ? -1.0 : 1.0};
  Vec2 normal;
  if (past.x > 0 && past.y > 0) {
    result.distance = length(past);
    normal = Vec2{side.x * past.x, side.y * past.y} * (1 / result.distance);
  } else if (past.x > past.y) {
    result.distance = past.x;
    normal = {side.x, 0};
  } else {
    result.distance = past.y;
    normal = {0, side.y};
  }
  result.normal = rotated(normal, body.angle);
  return result;
}

}  // namespace orrery::fluid
