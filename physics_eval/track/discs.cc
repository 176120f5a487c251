#include "physics_eval/track/discs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr double kPi = 3.14159265358979323846;
constexpr int kMostPixels = 6000;

struct Point {
  int x, y;
};

// A region's distance map in its own box: from each pixel's centre to the outline (half way to the next pixel outside).
struct Depth {
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<double> value;

  explicit Depth(const std::vector<Run>& runs) {
    int right = -1, bottom = -1;
    left = top = 1 << 30;
    for (const Run& run : runs) {
      left = std::min(left, run.x0), right = std::max(right, run.x1 - 1);
      top = std::min(top, run.y), bottom = std::max(bottom, run.y);
    }
    --left, --top;
    width = right - left + 2, height = bottom - top + 2;
    std::vector<char> inside(static_cast<Size>(width) * static_cast<Size>(height), 0);
    for (const Run& run : runs) {
      for (int x = run.x0; x < run.x1; ++x) inside[index(x - left, run.y - top)] = 1;
    }
    std::vector<Point> rim;  // pixels outside that touch the region
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (inside[index(x, y)]) continue;
        const bool near = (x > 0 && inside[index(x - 1, y)]) || (x + 1 < width && inside[index(x + 1, y)]) ||
                          (y > 0 && inside[index(x, y - 1)]) || (y + 1 < height && inside[index(x, y + 1)]);
        if (near) rim.push_back({x, y});
      }
    }
    value.assign(inside.size(), 0);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (!inside[index(x, y)]) continue;
        int least = 1 << 30;
        for (const Point& p : rim) least = std::min(least, (p.x - x) * (p.x - x) + (p.y - y) * (p.y - y));
        value[index(x, y)] = std::sqrt(static_cast<double>(least)) - 0.5;
      }
    }
  }

  Size index(int x, int y) const { return static_cast<Size>(y) * static_cast<Size>(width) + static_cast<Size>(x); }
  double at(double x, double y) const {
    const int i = static_cast<int>(std::floor(x)) - left, j = static_cast<int>(std::floor(y)) - top;
    return i < 0 || j < 0 || i >= width || j >= height ? 0 : value[index(i, j)];
  }
};

// Deepest first, each outside the discs before it.
std::vector<Disc> peaks(const Depth& depth) {
  std::vector<Size> order;
  for (Size i = 0; i < depth.value.size(); ++i) {
    if (depth.value[i] >= 2.2) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](Size a, Size b) { return depth.value[a] > depth.value[b]; });
  std::vector<Disc> out;
  for (const Size i : order) {
    const double x = depth.left + static_cast<int>(i) % depth.width + 0.5,
                 y = depth.top + static_cast<int>(i) / depth.width + 0.5, r = depth.value[i];
    if (r < 0.4 * depth.value[order[0]]) break;
    const bool apart = std::all_of(out.begin(), out.end(),
                                   [&](const Disc& d) { return std::hypot(d.x - x, d.y - y) > 0.88 * (d.radius + r); });
    if (!apart) continue;
    out.push_back({x, y, r});
    if (out.size() > 12) return {};
  }
  return out;
}

}  // namespace

std::vector<Disc> touching_discs(const std::vector<Run>& runs) {
  int pixels = 0;
  for (const Run& run : runs) pixels += run.x1 - run.x0;
  if (pixels < 30 || pixels > kMostPixels) return {};
  const Depth depth(runs);
  std::vector<Disc> discs = peaks(depth);
  if (discs.size() < 2) return {};
  double area = 0;
  for (const Disc& d : discs) area += kPi * (d.radius + 0.45) * (d.radius + 0.45);  // a centre lies between pixels
  if (area < 0.78 * pixels || area > 1.12 * pixels) return {};
  // A neck between each disc and the others; a bar is as deep there as anywhere.
  for (Size i = 0; i < discs.size(); ++i) {
    for (Size j = 0; j < i; ++j) {
      const Disc &a = discs[i], &b = discs[j];
      const double smaller = std::min(a.radius, b.radius), apart = std::hypot(a.x - b.x, a.y - b.y);
      if (apart > 1.3 * (a.radius + b.radius)) continue;
      const double share = (apart + a.radius - b.radius) / (2 * apart);
      if (depth.at(a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share) > 0.68 * smaller) return {};
    }
  }
  return discs;
}

}  // namespace orrery::tracking
