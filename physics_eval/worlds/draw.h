// The rasteriser: anti-aliased discs, capsules and polygons over a frame, placed in metres (y up, origin at the lower
// left corner of the picture). Coverage of a pixel is the clamped signed distance of its centre to the outline; every
// shading is symmetric about the body's centre, so that the centroid of a body's colour difference is the body's
// position.
#pragma once

#include <cstdint>
#include <span>

#include "physics_eval/worlds/vec2.h"
#include "video/frames/frame.h"

namespace orrery::worlds {

/// sRGB bytes as fractions 0…255, so that shading keeps its precision until it is blended.
struct Colour {
  float r = 0, g = 0, b = 0;

  constexpr Colour operator*(float factor) const { return {r * factor, g * factor, b * factor}; }
  constexpr Colour operator+(Colour other) const { return {r + other.r, g + other.g, b + other.b}; }
  constexpr bool operator==(const Colour&) const = default;
};

/// `a` at 0, `b` at 1.
constexpr Colour mix(Colour a, Colour b, float share) { return a * (1 - share) + b * share; }

/// Draws into a frame that it does not own. Not thread-safe; one canvas a frame.
class Canvas {
 public:
  Canvas(Frame& frame, double metres_per_pixel)
      : frame_(frame), scale_(1.0 / metres_per_pixel), metres_per_pixel_(metres_per_pixel) {}

  Frame& frame() { return frame_; }
  double metres_per_pixel() const { return metres_per_pixel_; }
  /// Size of the picture in metres.
  Vec2 extent() const { return {frame_.width() * metres_per_pixel_, frame_.height() * metres_per_pixel_}; }

  /// A ball: `colour` brightest at the centre, `shading` (0 = flat, 1 = strong) darkens the rim. Radius ≥ 0 metres.
  void disc(Vec2 centre, double radius, Colour colour, float shading = 0.5f);
  /// A thick line with round ends, flat.
  void capsule(Vec2 from, Vec2 to, double radius, Colour colour);
  /// A convex polygon (counter-clockwise, 3 to 16 corners), flat inside, its rim darkened by `shading`.
  void polygon(std::span<const Vec2> corners, Colour colour, float shading = 0.0f);
  /// A rectangle turned by `angle`.
  void box(Vec2 centre, double width, double height, double angle, Colour colour, float shading = 0.35f);
  /// An axis-parallel rectangle from corner to corner.
  void rectangle(Vec2 low, Vec2 high, Colour colour);
  /// A coil between two points: `turns` zigzags of half-width `amplitude`, drawn with lines of half-width `radius`.
  void spring(Vec2 from, Vec2 to, int turns, double amplitude, double radius, Colour colour);

 private:
  Vec2 to_pixel(Vec2 point) const { return {point.x * scale_, frame_.height() - point.y * scale_}; }

  Frame& frame_;
  double scale_, metres_per_pixel_;
};

}  // namespace orrery::worlds
