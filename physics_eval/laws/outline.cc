// Bodies' outlines: how far apart two are, how far one reaches, whether a line touches it.
#include <algorithm>
#include <array>
#include <cmath>

#include "physics_eval/laws/motion.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// What lies within `radius` of a point, a line or a convex polygon.
struct Shape {
  std::array<Vec, 4> corner;
  Size corners = 1;
  double radius = 0;
};

Shape shape_of(const Path& path, int frame) {
  const Size t = static_cast<Size>(frame);
  const Observation& o = path.track->frames[t];
  const Vec at = path.at[t];
  if (o.box_width > 0) {
    const double c = std::cos(o.angle), s = std::sin(o.angle);
    const Vec across{c * o.box_width / 2, s * o.box_width / 2}, up{-s * o.box_height / 2, c * o.box_height / 2};
    return {{at + across + up, at - across + up, at - across - up, at + across - up}, 4, 0};
  }
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  const double grow = path.rigid ? 3 : 5;
  const double length_half = std::sqrt(grow * (half + spread)),
               width_half = std::sqrt(grow * std::max(0.05, half - spread));
  if (path.rigid && length_half < 1.35 * width_half) return {{at}, 1, path.radius};
  const double angle = 0.5 * std::atan2(2 * o.xy, o.xx - o.yy), reach = length_half - width_half;
  const Vec along{std::cos(angle) * reach, std::sin(angle) * reach};
  return {{at - along, at + along}, 2, width_half};
}

double to_segment(Vec p, Vec a, Vec b) {
  const Vec d = b - a;
  const double square = dot(d, d), at = square > 0 ? std::clamp(dot(p - a, d) / square, 0.0, 1.0) : 0.0;
  return length(p - (a + d * at));
}

double cross(Vec a, Vec b) { return a.x * b.y - a.y * b.x; }

// Of two segments; 0 where they cross.
double between(Vec a, Vec b, Vec c, Vec d) {
  const double s1 = cross(b - a, c - a), s2 = cross(b - a, d - a), s3 = cross(d - c, a - c), s4 = cross(d - c, b - c);
  if (s1 * s2 < 0 && s3 * s4 < 0) return 0;
  return std::min({to_segment(a, c, d), to_segment(b, c, d), to_segment(c, a, b), to_segment(d, a, b)});
}

bool within(Vec point, const Shape& shape) {
  if (shape.corners < 3) return false;
  bool left = false, right = false;
  for (Size i = 0; i < shape.corners; ++i) {
    const Vec a = shape.corner[i], b = shape.corner[(i + 1) % shape.corners];
    (cross(b - a, point - a) > 0 ? left : right) = true;
  }
  return left != right;
}

double gap_of(const Shape& p, const Shape& q) {
  if (within(p.corner[0], q) || within(q.corner[0], p)) return -p.radius - q.radius;
  double least = 1e18;
  for (Size i = 0; i < p.corners; ++i) {
    for (Size j = 0; j < q.corners; ++j) {
      least = std::min(least,
                       between(p.corner[i], p.corner[(i + 1) % p.corners], q.corner[j], q.corner[(j + 1) % q.corners]));
    }
  }
  return least - p.radius - q.radius;
}

}  // namespace

double surface_gap(const Path& a, const Path& b, int frame) { return gap_of(shape_of(a, frame), shape_of(b, frame)); }

double surface_gap(Vec point, const Path& b, int frame) { return gap_of({{point}, 1, 0}, shape_of(b, frame)); }

bool near_line(const Path& path, int frame, const std::vector<std::vector<LineRun>>& lines, double slack) {
  if (frame < 0 || static_cast<Size>(frame) >= lines.size() || !path.seen[static_cast<Size>(frame)]) return false;
  const Vec p = path.at[static_cast<Size>(frame)];
  const auto& runs = lines[static_cast<Size>(frame)];
  return std::any_of(runs.begin(), runs.end(), [&](const LineRun& run) {
    const double x = std::clamp(p.x, static_cast<double>(run.x0), static_cast<double>(run.x1));
    const double d = std::hypot(p.x - x, p.y - run.y - 0.5);
    return d < 1e-9 || d < extent(path, frame, {(x - p.x) / d, (run.y + 0.5 - p.y) / d}) + slack;
  });
}

double extent(const Path& path, int frame, Vec way) {
  const Observation& o = path.track->frames[static_cast<Size>(frame)];
  if (o.box_width > 0) {
    const double c = std::cos(o.angle), s = std::sin(o.angle);
    return 0.5 * (o.box_width * std::abs(c * way.x + s * way.y) + o.box_height * std::abs(c * way.y - s * way.x));
  }
  if (6.2831853 * (o.xx + o.yy) < 1.15 * o.area) return path.radius;
  return std::sqrt(std::max(0.25, 3 * (o.xx * way.x * way.x + 2 * o.xy * way.x * way.y + o.yy * way.y * way.y)));
}

bool touching(const Path& a, const Path& b, int frame, double slack) {
  const Size t = static_cast<Size>(frame);
  return a.seen[t] && b.seen[t] && surface_gap(a, b, frame) < slack;
}

}  // namespace orrery::laws
