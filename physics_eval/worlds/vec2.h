// A plane vector of doubles.
#pragma once

#include <cmath>

namespace orrery::worlds {

struct Vec2 {
  double x = 0, y = 0;

  constexpr Vec2 operator+(Vec2 other) const { return {x + other.x, y + other.y}; }
  constexpr Vec2 operator-(Vec2 other) const { return {x - other.x, y - other.y}; }
  constexpr Vec2 operator-() const { return {-x, -y}; }
  constexpr Vec2 operator*(double factor) const { return {x * factor, y * factor}; }
  constexpr Vec2 operator/(double divisor) const { return {x / divisor, y / divisor}; }
  constexpr Vec2& operator+=(Vec2 other) { return *this = *this + other; }
  constexpr Vec2& operator-=(Vec2 other) { return *this = *this - other; }
  constexpr Vec2& operator*=(double factor) { return *this = *this * factor; }
  constexpr bool operator==(const Vec2&) const = default;
};

constexpr Vec2 operator*(double factor, Vec2 v) { return v * factor; }
constexpr double dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
/// The z component of a × b.
constexpr double cross(Vec2 a, Vec2 b) { return a.x * b.y - a.y * b.x; }
/// Turned a quarter counter-clockwise.
constexpr Vec2 perpendicular(Vec2 v) { return {-v.y, v.x}; }
inline double length(Vec2 v) { return std::sqrt(dot(v, v)); }
/// `v` turned by `angle` radians counter-clockwise.
inline Vec2 rotated(Vec2 v, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c * v.x - s * v.y, s * v.x + c * v.y};
}

}  // namespace orrery::worlds
