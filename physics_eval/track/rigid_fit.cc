#include "physics_eval/track/rigid_fit.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr double kPi = 3.14159265358979323846;
// Errors of a pixel's coverage, and how far from where it was foretold a body may be: pixels, radians.
constexpr double kPixel = 0.1, kPlace = 5, kAngle = 0.5;

double share(double at, double side) {  // of the pixel [at − ½, at + ½] within [−side/2, side/2]
  return std::clamp(std::min(at + 0.5, side / 2) - std::max(at - 0.5, -side / 2), 0.0, 1.0);
}

// Cholesky of the damped normal equations; false when they are singular.
bool solve(std::vector<double> a, std::vector<double> b, Size n, double damping, std::vector<double>& out) {
  for (Size i = 0; i < n; ++i) a[i * n + i] *= 1 + damping;
  for (Size j = 0; j < n; ++j) {
    for (Size k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    if (a[j * n + j] <= 1e-12) return false;
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (Size i = j + 1; i < n; ++i) {
      for (Size k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (Size i = 0; i < n; ++i) {
    for (Size k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (Size i = n; i-- > 0;) {
    for (Size k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  out = std::move(b);
  return true;
}

struct Pose {
  double x, y, angle;
};

// A body ready to be drawn.
struct Outline {
  double x, y, c, s, width, height;
  bool ball;

  explicit Outline(const RigidBody& body)
      : x(body.x),
        y(body.y),
        c(std::cos(body.angle)),
        s(std::sin(body.angle)),
        width(body.shape.width),
        height(body.shape.height),
        ball(body.shape.ball) {}

  double cover(double px, double py) const {
    const double dx = px - x, dy = py - y;
    if (ball) return std::clamp(0.5 + width / 2 - std::sqrt(dx * dx + dy * dy), 0.0, 1.0);
    const double across = share(c * dx + s * dy, width);
    return across == 0 ? 0 : across * share(c * dy - s * dx, height);
  }

  // The pixel lies wholly within it or outside, and would within a tenth of a pixel of here.
  bool far_from_edge(double px, double py) const {
    constexpr double kReach = 0.65;
    const double dx = px - x, dy = py - y;
    if (ball) return std::abs(std::sqrt(dx * dx + dy * dy) - width / 2) > kReach;
    const double u = std::abs(c * dx + s * dy) - width / 2, v = std::abs(c * dy - s * dx) - height / 2;
    return std::max(u, v) < -kReach || std::max(u, v) > kReach;
  }
};

// The least-squares problem of one map: residuals of its known pixels and of what was foretold.
class Fit {
 public:
  Fit(const CoverageMap& map, std::span<RigidBody> bodies) : map_(map), bodies_(bodies) {
    for (const RigidBody& body : bodies) start_.push_back({body.x, body.y, body.angle});
  }

  void run() {
    double cost = linearise(), damping = 1e-3;
    for (int round = 0; round < 40 && damping < 1e4; ++round) {
      std::vector<double> step;
      if (!solve(normal_, gradient_, size(), damping, step)) {
        damping *= 10;
        continue;
      }
      const std::vector<RigidBody> before(bodies_.begin(), bodies_.end());
      double longest = 0;
      for (Size k = 0; k < bodies_.size(); ++k) {
        RigidBody& body = bodies_[k];
        body.x += std::clamp(step[3 * k], -2.0, 2.0), body.y += std::clamp(step[3 * k + 1], -2.0, 2.0);
        body.angle += std::clamp(step[3 * k + 2], -0.3, 0.3);
        longest = std::max({longest, std::abs(step[3 * k]), std::abs(step[3 * k + 1]), 5 * std::abs(step[3 * k + 2])});
      }
      const double now = linearise();
      if (now > cost) {
        std::copy(before.begin(), before.end(), bodies_.begin());
        linearise();
        damping *= 6;
        continue;
      }
      const bool settled = longest < 2e-3 || cost - now < 1e-6 * cost;
      cost = now, damping = std::max(1e-6, damping / 4);
      if (settled) break;
    }
    judge();
  }

  // Thin rims and gaps are blur; what is left of a body that nobody foretold has an inside.
  int unexplained() const {
    const auto left = [&](int x, int y) {
      const Size i = map_.index(x, y);
      return map_.known[i] && map_.value[i] - sum_[i] > 0.5;
    };
    int pixels = 0;
    for (int y = map_.top + 1; y + 1 < map_.top + map_.height; ++y) {
      for (int x = map_.left + 1; x + 1 < map_.left + map_.width; ++x)
        pixels += left(x, y) && left(x - 1, y) && left(x + 1, y) && left(x, y - 1) && left(x, y + 1);
    }
    return pixels;
  }

 private:
  Size size() const { return 3 * bodies_.size(); }

  // Pixels that a body may touch.
  template <class Visit>
  void around(const RigidBody& body, Visit&& visit) const {
    const double reach = 0.5 * std::hypot(body.shape.width, body.shape.height) + 1.5;
    const int x0 = std::max(map_.left, static_cast<int>(std::floor(body.x - reach))),
              x1 = std::min(map_.left + map_.width, static_cast<int>(std::ceil(body.x + reach)) + 1),
              y0 = std::max(map_.top, static_cast<int>(std::floor(body.y - reach))),
              y1 = std::min(map_.top + map_.height, static_cast<int>(std::ceil(body.y + reach)) + 1);
    for (int y = y0; y < y1; ++y) {
      for (int x = x0; x < x1; ++x) visit(map_.index(x, y), x + 0.5, y + 0.5);
    }
  }

  // Normal equations at the present poses; the cost there.
  double linearise() {
    const Size n = size();
    normal_.assign(n * n, 0), gradient_.assign(n, 0);
    sum_.assign(map_.value.size(), 0);
    touching_.resize(map_.value.size());
    for (std::vector<Slope>& slopes : touching_) slopes.clear();
    for (Size k = 0; k < bodies_.size(); ++k) {
      const RigidBody& body = bodies_[k];
      RigidBody moved[3] = {body, body, body}, back[3] = {body, body, body};
      constexpr double kStep = 0.05;
      const double turn = kStep / std::max(2.0, 0.5 * std::max(body.shape.width, body.shape.height));
      moved[0].x += kStep, back[0].x -= kStep, moved[1].y += kStep, back[1].y -= kStep;
      moved[2].angle += turn, back[2].angle -= turn;
      const Outline here(body), ahead[3] = {Outline(moved[0]), Outline(moved[1]), Outline(moved[2])},
                                behind[3] = {Outline(back[0]), Outline(back[1]), Outline(back[2])};
      around(body, [&](Size i, double px, double py) {
        if (!map_.known[i]) return;
        sum_[i] += here.cover(px, py);
        if (here.far_from_edge(px, py)) return;
        Slope slope{k, {}};
        bool any = false;
        for (Size c = 0; c < 3; ++c) {
          slope.by[c] = (ahead[c].cover(px, py) - behind[c].cover(px, py)) / (2 * (c == 2 ? turn : kStep));
          any = any || slope.by[c] != 0;
        }
        if (any) touching_[i].push_back(slope);
      });
    }
    double cost = 0;
    for (Size i = 0; i < map_.value.size(); ++i) {
      if (!map_.known[i]) continue;
      const double residual = (map_.value[i] - sum_[i]) / kPixel;
      cost += residual * residual;
      for (const Slope& a : touching_[i]) {
        for (Size c = 0; c < 3; ++c) {
          const Size row = 3 * a.body + c;
          gradient_[row] += a.by[c] / kPixel * residual;
          for (const Slope& b : touching_[i]) {
            for (Size d = 0; d < 3; ++d) normal_[row * n + 3 * b.body + d] += a.by[c] * b.by[d] / (kPixel * kPixel);
          }
        }
      }
    }
    for (Size k = 0; k < bodies_.size(); ++k) {
      const double off[3] = {start_[k].x - bodies_[k].x, start_[k].y - bodies_[k].y,
                             start_[k].angle - bodies_[k].angle};
      for (Size c = 0; c < 3; ++c) {
        const double scale = c == 2 ? kAngle : kPlace, residual = off[c] / scale;
        cost += residual * residual;
        gradient_[3 * k + c] += residual / scale;
        normal_[(3 * k + c) * n + 3 * k + c] += 1 / (scale * scale);
      }
    }
    return cost;
  }

  void judge() {
    double square = 0;
    int count = 0;
    for (Size i = 0; i < map_.value.size(); ++i) {
      if (!map_.known[i] || (map_.value[i] == 0 && sum_[i] == 0)) continue;
      square += (map_.value[i] - sum_[i]) * (map_.value[i] - sum_[i]), ++count;
    }
    const double rms = std::sqrt(square / std::max(1, count)) / kPixel;
    for (Size k = 0; k < bodies_.size(); ++k) {
      RigidBody& body = bodies_[k];
      double own = 0, there = 0, off = 0;
      RigidBody wider = body;
      wider.shape.width += 2, wider.shape.height += 2;
      const Outline outline(body), around_it(wider);
      around(body, [&](Size i, double px, double py) {
        if (!map_.known[i]) return;
        const double cover = outline.cover(px, py);
        own += cover, there += cover * std::clamp(map_.value[i] - (sum_[i] - cover), 0.0, 1.0);
        off += around_it.cover(px, py) * std::abs(map_.value[i] - sum_[i]);
      });
      body.support = own > 0 ? there / own : 0, body.misfit = off / (2 * (body.shape.width + body.shape.height));
      double worst = 0;
      for (Size c = 0; c < 2; ++c) {
        std::vector<double> unit(size(), 0), column;
        unit[3 * k + c] = 1;
        if (solve(normal_, std::move(unit), size(), 0, column)) worst = std::max(worst, column[3 * k + c]);
      }
      body.sigma = std::sqrt(worst) * std::max(1.0, rms);
    }
  }

  struct Slope {
    Size body;
    std::array<double, 3> by;
  };

  const CoverageMap& map_;
  std::span<RigidBody> bodies_;
  std::vector<Pose> start_;
  std::vector<double> normal_, gradient_, sum_;
  std::vector<std::vector<Slope>> touching_;
};

}  // namespace

double RigidShape::area() const { return ball ? kPi / 4 * width * height : width * height; }

RigidShape RigidShape::of(double area, double xx, double xy, double yy) {
  constexpr double kBlur = 1.0 / 12;  // a pixel's own
  const double mean = (xx + yy) / 2 - kBlur, half = std::hypot((xx - yy) / 2, xy), most = mean + half,
               least = mean - half;
  if (area < 16 || least <= 0) return {};
  const double fill = area / std::sqrt(most * least);  // 12 for a box, 4π for an ellipse
  if (std::abs(fill - 4 * kPi) < 0.2 && most < 1.08 * least) {
    const double side = 2 * std::sqrt(area / kPi);
    return {side, side, true};
  }
  const double thin = 2 / std::sqrt(12 * least);  // a thin one's outline is blurred; balls in a row have 11.2 and less
  if (std::abs(fill - 12) > (most > 3 * least ? 0.3 + thin : 0.3)) return {};
  const double stretch = std::sqrt(area / (12 * std::sqrt(most * least)));
  return {stretch * std::sqrt(12 * most), stretch * std::sqrt(12 * least), false};
}

double RigidBody::cover(double px, double py) const { return Outline(*this).cover(px, py); }

double RigidBody::xx() const {
  const double c = std::cos(angle), s = std::sin(angle), w = shape.width * shape.width, h = shape.height * shape.height;
  return (c * c * w + s * s * h) / (shape.ball ? 16 : 12);
}

double RigidBody::yy() const {
  const double c = std::cos(angle), s = std::sin(angle), w = shape.width * shape.width, h = shape.height * shape.height;
  return (s * s * w + c * c * h) / (shape.ball ? 16 : 12);
}

double RigidBody::xy() const {
  const double c = std::cos(angle), s = std::sin(angle), w = shape.width * shape.width, h = shape.height * shape.height;
  return c * s * (w - h) / (shape.ball ? 16 : 12);
}

int fit_rigid(const CoverageMap& map, std::span<RigidBody> bodies) {
  Fit fit(map, bodies);
  fit.run();
  return fit.unexplained();
}

double nearest_angle(const RigidShape& shape, double angle, double near) {
  if (shape.ball) return near;
  const bool square = shape.width < 1.1 * shape.height && shape.height < 1.1 * shape.width;
  const double turn = square ? kPi / 2 : kPi;
  return angle + turn * std::round((near - angle) / turn);
}

double angle_of(const RigidShape& shape, const Segment& segment) {
  if (shape.ball) return 0;
  const double half = std::hypot((segment.xx - segment.yy) / 2, segment.xy), mean = (segment.xx + segment.yy) / 2;
  if (half > 0.08 * mean) return 0.5 * std::atan2(2 * segment.xy, segment.xx - segment.yy);
  double re = 0, im = 0;  // of Σ z⁴, whose argument is 4θ + π: a square's corners are farthest out
  for (const Run& run : segment.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      const double dx = x + 0.5 - segment.x, dy = run.y + 0.5 - segment.y;
      const double u = dx * dx - dy * dy, v = 2 * dx * dy;
      re += u * u - v * v, im += 2 * u * v;
    }
  }
  return 0.25 * std::atan2(-im, -re);
}

}  // namespace orrery::tracking
