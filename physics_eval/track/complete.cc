#include "physics_eval/track/complete.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "physics_eval/track/segment.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr double kPi = 3.14159265358979323846;

enum : std::uint8_t { kOpen, kOther, kOwn };

struct Point {
  double x, y;
};

// The 2×2 normal equations of a step of the centre.
struct Step {
  double xx = 0, xy = 0, yy = 0, bx = 0, by = 0, square = 0;
  int count = 0;

  void add(double jx, double jy, double residual) {
    xx += jx * jx, xy += jx * jy, yy += jy * jy, bx += jx * residual, by += jy * residual;
    square += residual * residual, ++count;
  }
  // Smallest eigenvalue: how well the worse direction is known.
  double least() const { return (xx + yy) / 2 - std::hypot((xx - yy) / 2, xy); }
  bool move(Point& centre, double most) const {
    const double det = xx * yy - xy * xy;
    if (det < 1e-9) return false;
    double dx = (yy * bx - xy * by) / det, dy = (xx * by - xy * bx) / det;
    const double size = std::hypot(dx, dy);
    if (size > most) dx *= most / size, dy *= most / size;
    centre.x += dx, centre.y += dy;
    return true;
  }
};

struct View {
  const Frame& frame;
  const Background& background;
  std::vector<std::uint8_t> kind;

  int width() const { return frame.width(); }
  int height() const { return frame.height(); }
  std::uint8_t at(int x, int y) const { return kind[static_cast<Size>(y * width() + x)]; }
  bool inside(int x, int y) const { return x >= 0 && y >= 0 && x < width() && y < height(); }
  // No other body within a pixel: what is mixed here is mixed with the background.
  bool clear(int x, int y) const {
    for (int ny = y - 1; ny <= y + 1; ++ny) {
      for (int nx = x - 1; nx <= x + 1; ++nx) {
        if (inside(nx, ny) && at(nx, ny) == kOther) return false;
      }
    }
    return true;
  }
};

// Middles of the sides between own pixels and bare background.
std::vector<Point> outline(const View& view, const std::vector<Run>& runs) {
  std::vector<Point> out;
  const auto side = [&](int x, int y, int dx, int dy) {
    if (!view.inside(x + dx, y + dy) || view.at(x + dx, y + dy) != kOpen || !view.clear(x, y)) return;
    out.push_back({x + 0.5 + 0.5 * dx, y + 0.5 + 0.5 * dy});
  };
  for (const Run& run : runs) {
    for (int x = run.x0; x < run.x1; ++x)
      side(x, run.y, 1, 0), side(x, run.y, -1, 0), side(x, run.y, 0, 1), side(x, run.y, 0, -1);
  }
  return out;
}

// Colour of the ball just inside its border there.
bool colour_near(const View& view, Point centre, double radius, int x, int y, std::array<double, 3>& colour) {
  colour = {0, 0, 0};
  int count = 0;
  for (int ny = y - 3; ny <= y + 3; ++ny) {
    for (int nx = x - 3; nx <= x + 3; ++nx) {
      if (!view.inside(nx, ny) || view.at(nx, ny) != kOwn || !view.clear(nx, ny)) continue;
      const double d = std::hypot(nx + 0.5 - centre.x, ny + 0.5 - centre.y);
      if (d > radius - 1.2 || d < radius - 3.5) continue;
      for (Size c = 0; c < 3; ++c) colour[c] += view.frame.at(nx, ny)[c];
      ++count;
    }
  }
  for (double& c : colour) c /= std::max(1, count);
  return count > 0;
}

// What of the ball lies in the picture and behind nothing is its own, not bare background: it is as large as that.
bool mostly_own(const View& view, Point centre, double radius) {
  const int reach = static_cast<int>(radius) + 1, cx = static_cast<int>(centre.x), cy = static_cast<int>(centre.y);
  int own = 0, open = 0;
  for (int y = std::max(0, cy - reach); y <= std::min(view.height() - 1, cy + reach); ++y) {
    for (int x = std::max(0, cx - reach); x <= std::min(view.width() - 1, cx + reach); ++x) {
      if (std::hypot(x + 0.5 - centre.x, y + 0.5 - centre.y) > radius - 0.7) continue;
      own += view.at(x, y) == kOwn, open += view.at(x, y) == kOpen;
    }
  }
  return own > 0 && open * 20 < own;
}

bool adjoins_other(const View& view, const std::vector<Run>& runs) {
  int count = 0;
  for (const Run& run : runs) {
    for (int x = run.x0; x < run.x1; ++x) count += !view.clear(x, run.y);
  }
  return count >= 3;
}

// One step towards the centre whose coverage of the border's pixels is the one seen.
Step coverage_step(const View& view, Point centre, double radius) {
  Step step;
  const int reach = static_cast<int>(radius) + 3, cx = static_cast<int>(centre.x), cy = static_cast<int>(centre.y);
  for (int y = std::max(0, cy - reach); y <= std::min(view.height() - 1, cy + reach); ++y) {
    for (int x = std::max(0, cx - reach); x <= std::min(view.width() - 1, cx + reach); ++x) {
      const double dx = x + 0.5 - centre.x, dy = y + 0.5 - centre.y, d = std::hypot(dx, dy);
      if (std::abs(d - radius) > 1.5 || view.at(x, y) == kOther || !view.clear(x, y)) continue;
      std::array<double, 3> full;
      if (!colour_near(view, centre, radius, x, y, full)) continue;
      const std::uint8_t *p = view.frame.at(x, y), *b = view.background.picture.at(x, y);
      double dot = 0, norm = 0;
      for (Size c = 0; c < 3; ++c) dot += (full[c] - b[c]) * (p[c] - b[c]), norm += (full[c] - b[c]) * (full[c] - b[c]);
      if (norm < 400) continue;
      const double seen = std::clamp(dot / norm, 0.0, 1.0), model = std::clamp(radius + 0.5 - d, 0.0, 1.0);
      const bool ramp = std::abs(radius - d) < 0.75;
      step.add(ramp ? dx / d : 0, ramp ? dy / d : 0, seen - model);
    }
  }
  return step;
}

}  // namespace

double ball_radius(const Track& track) {
  std::vector<double> area, spread;
  for (const Observation& o : track.frames) {
    if (!o.visible || o.cut || o.merged || o.area < 20) continue;
    area.push_back(o.area), spread.push_back(2 * kPi * (o.xx + o.yy) / o.area);
  }
  if (area.size() < 4) return 0;
  const auto middle = static_cast<std::ptrdiff_t>(area.size() / 2);
  std::nth_element(area.begin(), area.begin() + middle, area.end());
  std::nth_element(spread.begin(), spread.begin() + middle, spread.end());
  if (spread[static_cast<Size>(middle)] > 1.03) return 0;
  return std::sqrt(area[static_cast<Size>(middle)] / kPi);
}

std::optional<BallCentre> complete_ball(const std::vector<Run>& runs, const Frame& frame, const Background& background,
                                        double radius) {
  View view{frame, background, foreground_mask(frame, background)};
  for (std::uint8_t& k : view.kind) k = k ? kOther : kOpen;
  Point centre{0, 0};
  int pixels = 0;
  for (const Run& run : runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      view.kind[static_cast<Size>(run.y * frame.width() + x)] = kOwn;
      centre.x += x + 0.5, centre.y += run.y + 0.5, ++pixels;
    }
  }
  if (!pixels) return std::nullopt;
  centre.x /= pixels, centre.y /= pixels;
  const std::vector<Point> points = outline(view, runs);
  if (static_cast<double>(points.size()) < 1.5 * radius) return std::nullopt;
  // What sticks out of it, a rod or a spring, is left out once the rest has its place.
  Step step;
  for (int round = 0; round < 30; ++round) {
    const double most = round < 8 ? 1e9 : std::max(0.8, 0.5 * radius / (round - 6));
    step = {};
    for (const Point& p : points) {
      const double dx = p.x - centre.x, dy = p.y - centre.y, d = std::max(1e-6, std::hypot(dx, dy));
      if (std::abs(d - radius) < most) step.add(dx / d, dy / d, d - radius);
    }
    if (!step.move(centre, 0.5 * radius)) return std::nullopt;
  }
  if (step.count < std::max(1.5 * radius, 0.4 * static_cast<double>(points.size())) ||
      std::sqrt(step.square / step.count) > 0.6)
    return std::nullopt;
  if (!mostly_own(view, centre, radius)) return std::nullopt;
  for (int round = 0; round < 6; ++round) {
    step = coverage_step(view, centre, radius);
    if (step.least() < 2.5 || !step.move(centre, 0.5)) return std::nullopt;
  }
  const double rms = std::sqrt(step.square / std::max(1, step.count));
  if (rms > 0.2) return std::nullopt;
  return BallCentre{centre.x, centre.y, std::max(0.02, 0.5 * rms) / std::sqrt(step.least()) + 0.02,
                    adjoins_other(view, runs)};
}

}  // namespace orrery::tracking
