#include "physics_eval/worlds/draw.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"

namespace orrery::worlds {
namespace {

inline std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

inline void blend(std::uint8_t* pixel, Colour colour, float coverage) {
  pixel[0] = to_byte(static_cast<float>(pixel[0]) + (colour.r - static_cast<float>(pixel[0])) * coverage);
  pixel[1] = to_byte(static_cast<float>(pixel[1]) + (colour.g - static_cast<float>(pixel[1])) * coverage);
  pixel[2] = to_byte(static_cast<float>(pixel[2]) + (colour.b - static_cast<float>(pixel[2])) * coverage);
}

struct PixelBox {
  int x0, y0, x1, y1;
};

// Pixels whose centre may be within `margin` of the box low…high, cut to the frame.
PixelBox bounds(const Frame& frame, Vec2 low, Vec2 high, double margin) {
  const auto cut = [](double value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0, static_cast<double>(limit)));
  };
  return {cut(std::floor(low.x - margin), frame.width()), cut(std::floor(low.y - margin), frame.height()),
          cut(std::ceil(high.x + margin), frame.width()), cut(std::ceil(high.y + margin), frame.height())};
}

}  // namespace

void Canvas::disc(Vec2 centre, double radius, Colour colour, float shading) {
  const Vec2 c = to_pixel(centre);
  const double r_exact = radius * scale_;
  const auto box = bounds(frame_, {c.x - r_exact, c.y - r_exact}, {c.x + r_exact, c.y + r_exact}, 1.0);
  const float cx = static_cast<float>(c.x), cy = static_cast<float>(c.y), r = static_cast<float>(r_exact);
  const float inner = r > 0.5f ? (r - 0.5f) * (r - 0.5f) : -1.0f, outer = (r + 0.5f) * (r + 0.5f);
  const float fall = r > 0 ? 1.0f / (r * r) : 0.0f;
  const float bright = 1.0f + 0.18f * shading, slope = 0.62f * shading;
  for (int y = box.y0; y < box.y1; ++y) {
    std::uint8_t* row = frame_.row(y);
    const float dy = static_cast<float>(y) + 0.5f - cy;
    for (int x = box.x0; x < box.x1; ++x) {
      const float dx = static_cast<float>(x) + 0.5f - cx;
      const float square = dx * dx + dy * dy;
      if (square >= outer) continue;
      const float coverage = square <= inner ? 1.0f : std::min(1.0f, r + 0.5f - std::sqrt(square));
      const float at = std::min(1.0f, square * fall);
      blend(row + 3 * x, colour * (bright - slope * at * at), coverage);
    }
  }
}

void Canvas::capsule(Vec2 from, Vec2 to, double radius, Colour colour) {
  const Vec2 a = to_pixel(from), b = to_pixel(to);
  const double r = radius * scale_;
  const auto box = bounds(frame_, {std::min(a.x, b.x) - r, std::min(a.y, b.y) - r},
                          {std::max(a.x, b.x) + r, std::max(a.y, b.y) + r}, 1.0);
  const Vec2 along = b - a;
  const double square = dot(along, along), inverse = square > 0 ? 1.0 / square : 0.0;
  // A line thinner than a pixel keeps its share of light.
  const double core = std::max(r, 0.5), strength = std::min(1.0, 2 * r);
  for (int y = box.y0; y < box.y1; ++y) {
    std::uint8_t* row = frame_.row(y);
    for (int x = box.x0; x < box.x1; ++x) {
      const Vec2 p = Vec2{x + 0.5, y + 0.5} - a;
      const double at = std::clamp(dot(p, along) * inverse, 0.0, 1.0);
      const Vec2 off = p - along * at;
      const double gap = dot(off, off);
      if (gap >= (core + 0.5) * (core + 0.5)) continue;
      blend(row + 3 * x, colour, static_cast<float>(std::min(1.0, core + 0.5 - std::sqrt(gap)) * strength));
    }
  }
}

void Canvas::polygon(std::span<const Vec2> corners, Colour colour, float shading) {
  constexpr std::size_t kMost = 16;
  ORRERY_ASSERT(corners.size() >= 3 && corners.size() <= kMost, "[draw] polygon of ", corners.size(),
                " corners, expected 3…16");
  std::array<Vec2, kMost> point{}, normal{};
  Vec2 low{1e30, 1e30}, high{-1e30, -1e30};
  for (std::size_t i = 0; i < corners.size(); ++i) {
    point[i] = to_pixel(corners[i]);
    low = {std::min(low.x, point[i].x), std::min(low.y, point[i].y)};
    high = {std::max(high.x, point[i].x), std::max(high.y, point[i].y)};
  }
  double area = 0;
  for (std::size_t i = 0; i < corners.size(); ++i) area += cross(point[i], point[(i + 1) % corners.size()]);
  const double side = area > 0 ? 1 : -1;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Vec2 edge = point[(i + 1) % corners.size()] - point[i];
    const double size = length(edge);
    normal[i] = size > 0 ? perpendicular(edge) * (side / size) : Vec2{};
  }
  const auto box = bounds(frame_, low, high, 1.0);
  for (int y = box.y0; y < box.y1; ++y) {
    std::uint8_t* row = frame_.row(y);
    for (int x = box.x0; x < box.x1; ++x) {
      const Vec2 p{x + 0.5, y + 0.5};
      double inside = 1e30;
      for (std::size_t i = 0; i < corners.size(); ++i) inside = std::min(inside, dot(p - point[i], normal[i]));
      if (inside <= -0.5) continue;
      const float rim = inside < 1.5 ? shading * static_cast<float>((1.5 - std::max(0.0, inside)) / 1.5) : 0.0f;
      blend(row + 3 * x, colour * (1.0f - 0.5f * rim), static_cast<float>(std::min(1.0, inside + 0.5)));
    }
  }
}

void Canvas::box(Vec2 centre, double width, double height, double angle, Colour colour, float shading) {
  const Vec2 u = rotated({width / 2, 0}, angle), v = rotated({0, height / 2}, angle);
  const std::array<Vec2, 4> corners = {centre - u - v, centre + u - v, centre + u + v, centre - u + v};
  polygon(corners, colour, shading);
}

void Canvas::rectangle(Vec2 low, Vec2 high, Colour colour) {
  const Vec2 a = to_pixel({low.x, high.y}), b = to_pixel({high.x, low.y});
  const auto box = bounds(frame_, a, b, 0.0);
  for (int y = box.y0; y < box.y1; ++y) {
    const double cover_y = std::min<double>(y + 1, b.y) - std::max<double>(y, a.y);
    for (int x = box.x0; x < box.x1; ++x) {
      const double cover_x = std::min<double>(x + 1, b.x) - std::max<double>(x, a.x);
      if (cover_x > 0 && cover_y > 0) blend(frame_.at(x, y), colour, static_cast<float>(cover_x * cover_y));
    }
  }
}

void Canvas::spring(Vec2 from, Vec2 to, int turns, double amplitude, double radius, Colour colour) {
  const Vec2 along = to - from;
  const double size = length(along);
  if (size <= 0 || turns < 1) return capsule(from, to, radius, colour);
  const Vec2 side = perpendicular(along) * (amplitude / size);
  const int corners = 2 * turns;
  Vec2 last = from;
  for (int i = 0; i <= corners + 1; ++i) {
    const double share = i > corners ? 1.0 : (i + 0.5) / (corners + 1);
    const double sign = i > corners ? 0.0 : (i % 2 == 0 ? 1.0 : -1.0);
    const Vec2 next = from + along * share + side * sign;
    capsule(last, next, radius, colour);
    last = next;
  }
}

}  // namespace orrery::worlds
