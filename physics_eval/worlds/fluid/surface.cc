#include "physics_eval/worlds/fluid/surface.h"

#include <algorithm>
#include <cmath>
#include <numbers>

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
std::vector<Sums> splat(const Solver& solver, const View& view, double reach) {
  std::vector<Sums> sums(static_cast<std::size_t>(view.width) * static_cast<std::size_t>(view.height));
  const double scale = 1 / view.metres_per_pixel, inverse = 1 / (reach * reach);
  for (const Particle& particle : solver.particles()) {
    const double px = (particle.position.x - view.origin.x) * scale - 0.5;
    const double py = view.height - (particle.position.y - view.origin.y) * scale - 0.5;
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

// The shift of the level at which the covered area is `target` pixels, within ±most.
float level(const std::vector<float>& distance, double target, float most) {
  std::vector<float> band;
  double whole = 0;
  for (const float d : distance) {
    if (covered(d, -most) >= 1)
      whole += 1;
    else if (covered(d, most) > 0)
      band.push_back(d);
  }
  float low = -most, high = most;
  for (int round = 0; round < 12; ++round) {
    const float middle = 0.5f * (low + high);
    double area = whole;
    for (const float d : band) area += double{covered(d, middle)};
    (area < target ? low : high) = middle;
  }
  return 0.5f * (low + high);
}

}  // namespace

double Surface::area() const {
  double sum = 0;
  for (const float c : coverage) sum += double{c};
  return sum;
}

Surface draw_surface(const Solver& solver, const View& view) {
  ORRERY_CHECK(view.width > 0 && view.height > 0 && view.metres_per_pixel > 0, "[fluid] view is ", view.width, "x",
               view.height, " at ", view.metres_per_pixel, " m a pixel, expected all positive");
  const double cell = solver.options().cell / view.metres_per_pixel;  // pixels
  const double reach = std::max(kReachCells * cell, kReachPixels);
  const std::vector<Sums> sums = splat(solver, view, reach);
  // Weight deep inside: four particles a cell times the kernel's integral, πR²/4.
  const double full = std::numbers::pi * reach * reach / (cell * cell * solver.swelling());
  std::vector<float> distance(sums.size(), 1e9f);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const Sums& s = sums[i];
    if (s.weight < 1e-4f) continue;
    const float away = std::sqrt(s.x * s.x + s.y * s.y) / s.weight;
    // Far inside, where |x - x̄| tells nothing, the weight does.
    const float inside = std::max(0.0f, s.weight / static_cast<float>(full) - 0.6f) * 5;
    distance[i] = away - static_cast<float>(kRadius * reach) - inside;
  }
  double visible = 0;
  for (const Particle& particle : solver.particles()) {
    const double x = (particle.position.x - view.origin.x) / view.metres_per_pixel;
    const double y = (particle.position.y - view.origin.y) / view.metres_per_pixel;
    visible += x >= 0 && y >= 0 && x < view.width && y < view.height;
  }
  const float shift = level(distance, visible * 0.25 * cell * cell * solver.swelling(), static_cast<float>(kMostShift * cell));
  Surface surface;
  surface.width = view.width;
  surface.height = view.height;
  surface.coverage.resize(sums.size());
  surface.light.resize(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) surface.coverage[i] = covered(distance[i], shift);
  const auto width = static_cast<std::size_t>(view.width);
  const std::size_t line = std::max<std::size_t>(1, static_cast<std::size_t>(view.height) / 48);
  for (std::size_t y = 0; y < static_cast<std::size_t>(view.height); ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t i = y * width + x;
      const float above = y >= line ? surface.coverage[i - line * width] : surface.coverage[x];
      surface.light[i] = surface.coverage[i] * (1 - above);
    }
  return surface;
}

}  // namespace orrery::fluid
