#include "physics_eval/track/thick.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "physics_eval/track/discs.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

// Distances in a box with a rim of one pixel outside the region.
struct Map {
  int width, height;
  std::vector<float> d;
  float& at(int x, int y) { return d[static_cast<Size>(y) * static_cast<Size>(width) + static_cast<Size>(x)]; }
};

// Chamfer distance (1, √2) of every pixel to the nearest zero pixel, in two passes.
void spread_distance(Map& map) {
  constexpr float kDiagonal = 1.41421356f;
  const auto relax = [&](int x, int y, int dx, int dy, float step) {
    const int nx = x + dx, ny = y + dy;
    if (nx < 0 || ny < 0 || nx >= map.width || ny >= map.height) return;
    map.at(x, y) = std::min(map.at(x, y), map.at(nx, ny) + step);
  };
  for (int y = 0; y < map.height; ++y) {
    for (int x = 0; x < map.width; ++x) {
      relax(x, y, -1, 0, 1), relax(x, y, 0, -1, 1), relax(x, y, -1, -1, kDiagonal), relax(x, y, 1, -1, kDiagonal);
    }
  }
  for (int y = map.height - 1; y >= 0; --y) {
    for (int x = map.width - 1; x >= 0; --x) {
      relax(x, y, 1, 0, 1), relax(x, y, 0, 1, 1), relax(x, y, 1, 1, kDiagonal), relax(x, y, -1, 1, kDiagonal);
    }
  }
}

}  // namespace

std::vector<Run> thick_part(const Region& region) {
  const int left = region.min_x - 1, top = region.min_y - 1;
  Map inside{region.max_x - region.min_x + 3, region.max_y - region.min_y + 3, {}};
  inside.d.assign(static_cast<Size>(inside.width) * static_cast<Size>(inside.height), 0.0f);
  for (const Run& run : region.runs) {
    for (int x = run.x0; x < run.x1; ++x) inside.at(x - left, run.y - top) = 1e6f;
  }
  spread_distance(inside);
  const float deepest = *std::max_element(inside.d.begin(), inside.d.end());
  const auto drawn_out = [&](int pixels) {
    return static_cast<float>(pixels) > 18 * (deepest - 0.5f) * (deepest - 0.5f);
  };
  const float core = 0.35f * deepest;
  if (core < 1.2f) return drawn_out(region.pixels) ? std::vector<Run>() : region.runs;
  Map near{inside.width, inside.height, inside.d};
  for (float& d : near.d) d = d > core ? 0.0f : 1e6f;
  spread_distance(near);
  std::vector<Run> out;
  int kept = 0;
  for (const Run& run : region.runs) {
    for (int x = run.x0; x < run.x1; ++x) {
      if (near.at(x - left, run.y - top) > core + 0.6f) continue;
      ++kept;
      if (!out.empty() && out.back().y == run.y && out.back().x1 == x) {
        ++out.back().x1;
      } else {
        out.push_back({run.y, x, x + 1});
      }
    }
  }
  if (drawn_out(kept) && touching_discs(out).empty()) return {};  // a bar, not a row of balls
  return out;
}

}  // namespace orrery::tracking
