#include "physics_eval/worlds/fluid/surface.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/base/error.h"

namespace orrery::fluid {

namespace {

// The kernel (1 - s²/R²)³ reaches this many cells, and at least that many pixels.
constexpr double kReachCells = 1.25, kReachPixels = 1.2;
// Mean depth of the weighted particles seen from a straight surface, in R, and how fast the distance grows across it:
// ∫z(1-z²)^3.5 / ∫(1-z²)^3.5 over [0, 1] = (1/9)/0.4295, and its derivative.
constexpr double kRadius = 0.2587, kSlope = 0.60;
// Farthest that the level may move to hold the area, in cells.
constexpr double kMostShift = 0.2;

struct Sums {
  float weight = 0, x = 0, y = 0;
};

// Kernel sums a pixel; x and y relative to the pixel's centre, in pixels.
std::vector<Sums> splat(const WaterShape& water, const View& view, double reach) {
  std::vector<Sums> sums(static_cast<std::size_t>(view.width) * static_cast<std::size_t>(view.height));
  const double scale = 1 / view.metres_per_pixel, inverse = 1 / (reach * reach);
  for (const Vec2 position : water.positions) {
    const double px = (position.x - view.origin.x) * scale - 0.5;
    const double py = view.height - (position.y - view.origin.y) * scale - 0.5;
    if (px < -reach || py < -reach || px > view.width + reach || py > view.height + reach) continue;
    const int x0 = std::max(0, static_cast<int>(std::ceil(px - reach)));
    const int x1 = std::min(view.width - 1, static_cast<int>(std::floor(px + reach)));
    const int y0 = std::max(0, static_cast<int>(std::ceil(py - reach)));
    const int y1 = std::min(view.height - 1, static_cast<int>(std::floor(py + reach)));
    for (int y = y0; y <= y1; ++y) {
      Sums* row = &sums[static_cast<std::size_t>(y) * static_cast<std::size_t>(view.width)];
      const float dy = static_cast<float>(py - y);
      const float vertical = 1 - dy * dy * static_cast<float>(inverse);
      for (int x = x0; x <= x1; ++x) {
        const float dx = static_cast<float>(px - x);
        const float s = std::max(0.0f, vertical - dx * dx * static_cast<float>(inverse));
        const float w = s * s * s;
        row[x].weight += w;
        row[x].x += w * dx;
        row[x].y += w * dy;
      }
    }
  }
  return sums;
}

float covered(float distance, float shift) {
  return std::clamp(0.5f - (distance - shift) * static_cast<float>(1 / kSlope), 0.0f, 1.0f);
}

// The shift of the level at which the covered area is `target` pixels, within ±most; `open` is what solids leave.
float level(const std::vector<float>& distance, const std::vector<float>& open, double target, float most) {
  std::vector<std::pair<float, float>> band;
  double whole = 0;
  for (std::size_t i = 0; i < distance.size(); ++i) {
    if (covered(distance[i], -most) >= 1)
      whole += double{open[i]};
    else if (open[i] > 0 && covered(distance[i], most) > 0)
      band.emplace_back(distance[i], open[i]);
  }
  float low = -most, high = most;
  for (int round = 0; round < 12; ++round) {
    const float middle = 0.5f * (low + high);
    double area = whole;
    for (const auto& [d, share] : band) area += double{covered(d, middle) * share};
    (area < target ? low : high) = middle;
  }
  return 0.5f * (low + high);
}

// A field between its pixels' centres; x and y in pixels, the first centre at 0.5.
float bilinear(const std::vector<float>& field, int width, int height, double x, double y) {
  const double fx = std::clamp(x - 0.5, 0.0, width - 1.001), fy = std::clamp(y - 0.5, 0.0, height - 1.001);
  const int i = static_cast<int>(fx), j = static_cast<int>(fy);
  const float tx = static_cast<float>(fx - i), ty = static_cast<float>(fy - j);
  const std::size_t at = static_cast<std::size_t>(i) + static_cast<std::size_t>(j) * static_cast<std::size_t>(width);
  const std::size_t right = width > 1 ? 1 : 0, below = height > 1 ? static_cast<std::size_t>(width) : 0;
  const float top = field[at] + (field[at + right] - field[at]) * tx;
  const float bottom = field[at + below] + (field[at + below + right] - field[at + below]) * tx;
  return top + (bottom - top) * ty;
}

// A pixel close to a solid or behind its edge.
struct Beside {
  std::size_t index;
  float distance;  // pixels
  Vec2 normal;     // out of the solid, y down
};

// The brighter line where the surface faces up.
void light(Surface& surface) {
  surface.light.resize(surface.coverage.size());
  const auto width = static_cast<std::size_t>(surface.width), height = static_cast<std::size_t>(surface.height);
  const std::size_t line = std::max<std::size_t>(1, height / 48);
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t i = y * width + x;
      const float above = y >= line ? surface.coverage[i - line * width] : surface.coverage[x];
      surface.light[i] = surface.coverage[i] * (1 - above);
    }
}

// How far from solids the particles' spacing shows, pixels at least.
constexpr double kGapPixels = 1.5, kGapCells = 0.6;

}  // namespace

double Surface::area() const {
  double sum = 0;
  for (const float c : coverage) sum += double{c};
  return sum;
}

WaterShape shape_of(const Solver& solver) {
  WaterShape shape;
  shape.cell = solver.options().cell;
  shape.swelling = solver.swelling();
  shape.positions.reserve(solver.particles().size());
  for (const Particle& particle : solver.particles()) shape.positions.push_back(particle.position);
  return shape;
}

Surface draw_surface(const Solver& solver, const View& view) {
  return draw_surface(shape_of(solver), view, [&solver](Vec2 point) { return solver.nearest_solid_or_edge(point); });
}

Surface draw_surface(const WaterShape& water, const View& view, const SolidDistance& solid) {
  ORRERY_CHECK(view.width > 0 && view.height > 0 && view.metres_per_pixel > 0, "[fluid] view is ", view.width, "x",
               view.height, " at ", view.metres_per_pixel, " m a pixel, expected all positive");
  const double cell = water.cell / view.metres_per_pixel;  // pixels
  const double reach = std::max(kReachCells * cell, kReachPixels);
  const std::vector<Sums> sums = splat(water, view, reach);
  // Weight deep inside: four particles a cell times the kernel's integral, πR²/4.
  const double full = std::numbers::pi * reach * reach / (cell * cell * water.swelling);
  const double gap = std::max(kGapPixels, kGapCells * cell);
  std::vector<float> distance(sums.size(), 1e9f), open(sums.size(), 1.0f);
  std::vector<Beside> beside;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const Sums& s = sums[i];
    if (s.weight < 1e-4f) continue;
    const float away = std::sqrt(s.x * s.x + s.y * s.y) / s.weight;
    // Far inside, where |x - x̄| tells nothing, the weight does.
    const float inside = std::max(0.0f, s.weight / static_cast<float>(full) - 0.6f) * 5;
    distance[i] = away - static_cast<float>(kRadius * reach) - inside;
    const auto x = static_cast<double>(i % static_cast<std::size_t>(view.width));
    const auto y = static_cast<double>(i / static_cast<std::size_t>(view.width));
    const Contact near = solid(view.origin + Vec2{x + 0.5, view.height - y - 0.5} * view.metres_per_pixel);
    const auto pixels = static_cast<float>(near.distance / view.metres_per_pixel);
    if (pixels >= static_cast<float>(gap)) continue;
    open[i] = std::clamp(0.5f + pixels, 0.0f, 1.0f);
    beside.push_back({i, pixels, {near.normal.x, -near.normal.y}});
  }
  double visible = 0;
  for (const Vec2 position : water.positions) {
    const Vec2 at = (position - view.origin) * (1 / view.metres_per_pixel);
    visible += at.x >= 0 && at.y >= 0 && at.x < view.width && at.y < view.height;
  }
  const float shift =
      level(distance, open, visible * 0.25 * cell * cell * water.swelling, static_cast<float>(kMostShift * cell));
  Surface surface;
  surface.width = view.width;
  surface.height = view.height;
  surface.coverage.resize(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) surface.coverage[i] = covered(distance[i], shift);
  const std::vector<float> plain = surface.coverage;
  for (const Beside& b : beside) {
    const auto x = static_cast<double>(b.index % static_cast<std::size_t>(view.width));
    const auto y = static_cast<double>(b.index / static_cast<std::size_t>(view.width));
    const double out = gap - double{b.distance};
    surface.coverage[b.index] =
        std::max(plain[b.index],
                 bilinear(plain, view.width, view.height, x + 0.5 + b.normal.x * out, y + 0.5 + b.normal.y * out));
  }
  light(surface);
  return surface;
}

}  // namespace orrery::fluid
