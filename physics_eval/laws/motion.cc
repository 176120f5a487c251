#include "physics_eval/laws/motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Solves the symmetric n×n system in place by Gauss–Jordan and leaves the inverse in `a`; n ≤ 6.
bool invert(std::array<std::array<double, 6>, 6>& a, int n) {
  std::array<std::array<double, 6>, 6> inverse{};
  for (int i = 0; i < n; ++i) inverse[static_cast<Size>(i)][static_cast<Size>(i)] = 1;
  for (Size c = 0; c < static_cast<Size>(n); ++c) {
    Size pivot = c;
    for (Size r = c + 1; r < static_cast<Size>(n); ++r) {
      if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
    }
    if (std::abs(a[pivot][c]) < 1e-12) return false;
    std::swap(a[pivot], a[c]);
    std::swap(inverse[pivot], inverse[c]);
    const double scale = 1 / a[c][c];
    for (Size k = 0; k < static_cast<Size>(n); ++k) a[c][k] *= scale, inverse[c][k] *= scale;
    for (Size r = 0; r < static_cast<Size>(n); ++r) {
      if (r == c) continue;
      const double factor = a[r][c];
      for (Size k = 0; k < static_cast<Size>(n); ++k) a[r][k] -= factor * a[c][k], inverse[r][k] -= factor * inverse[c][k];
    }
  }
  a = inverse;
  return true;
}

// From the 30% quantile of absolute third differences (0.385 standard deviations, √20 of the coordinate's noise): the
// noise where the path is smooth, even when it is shaken half of the time.
double path_noise(const Path& path) {
  std::vector<double> values;
  for (int t = 0; t + 3 < path.frames(); ++t) {
    const Size i = static_cast<Size>(t);
    if (!path.clean[i] || !path.clean[i + 1] || !path.clean[i + 2] || !path.clean[i + 3]) continue;
    const Vec d = path.at[i + 3] - path.at[i + 2] * 3 + path.at[i + 1] * 3 - path.at[i];
    values.push_back(std::abs(d.x));
    values.push_back(std::abs(d.y));
  }
  if (values.empty()) return 0.1;
  const auto low = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 3 / 10);
  std::nth_element(values.begin(), low, values.end());
  return std::clamp(*low / (0.385 * std::sqrt(20.0)), 0.015, 0.6);
}

}  // namespace

double length(Vec a) { return std::hypot(a.x, a.y); }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Vec Fit::at(double frame) const {
  Vec sum;
  double power = 1;
  for (const Vec& c : coefficient) sum = sum + c * power, power *= frame - origin;
  return sum;
}

Vec Fit::velocity(double frame) const {
  Vec sum;
  double power = 1;
  for (Size k = 1; k < coefficient.size(); ++k) sum = sum + coefficient[k] * (power * static_cast<double>(k)), power *= frame - origin;
  return sum;
}

std::vector<Path> make_paths(const Tracks& tracks) {
  std::vector<Path> out;
  for (const Track& track : tracks.tracks) {
    Path path;
    path.track = &track;
    path.radius = track.radius();
    for (const Observation& o : track.frames) {
      path.seen.push_back(o.visible);
      path.clean.push_back(o.visible && !o.cut && !o.merged);
      path.at.push_back({o.x, o.y});
      path.count += path.clean.back();
    }
    path.noise = path_noise(path);
    out.push_back(std::move(path));
  }
  return out;
}

Fit fit_path(const Path& path, int first, int last, int degree, double origin) {
  Fit fit;
  fit.origin = origin;
  const int n = degree + 1;
  std::array<std::array<double, 6>, 6> a{};
  std::array<Vec, 6> b{};
  int count = 0;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    std::array<double, 6> row{};
    double power = 1;
    for (int k = 0; k < n; ++k) row[static_cast<Size>(k)] = power, power *= t - origin;
    for (Size i = 0; i < static_cast<Size>(n); ++i) {
      for (Size j = 0; j < static_cast<Size>(n); ++j) a[i][j] += row[i] * row[j];
      b[i] = b[i] + path.at[static_cast<Size>(t)] * row[i];
    }
    ++count;
  }
  if (count < n + 1 || !invert(a, n)) return fit;
  fit.coefficient.resize(static_cast<Size>(n));
  for (Size i = 0; i < static_cast<Size>(n); ++i) {
    for (Size j = 0; j < static_cast<Size>(n); ++j) fit.coefficient[i] = fit.coefficient[i] + b[j] * a[i][j];
    fit.sigma.push_back(path.noise * std::sqrt(std::max(0.0, a[i][i])));
  }
  double sum = 0;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    const Vec r = path.at[static_cast<Size>(t)] - fit.at(t);
    sum += dot(r, r);
  }
  fit.rms = std::sqrt(sum / (2 * count));
  fit.ok = true;
  return fit;
}

Solids::Solids(const Tracks& tracks, std::span<const Path> paths) : width_(tracks.width), height_(tracks.height) {
  // Open space: flooded from the bodies' places over steps that no edge of a fixed thing makes.
  const Frame& picture = tracks.background;
  solid_.assign(static_cast<Size>(width_) * static_cast<Size>(height_), 1);
  if (picture.empty()) return;
  std::vector<int> stack;
  const auto open = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
    char& s = solid_[static_cast<Size>(y * width_ + x)];
    if (s) s = 0, stack.push_back(y * width_ + x);
  };
  for (const Path& path : paths) {
    const int first = path.track->first();
    if (first < 0 || !path.moves()) continue;
    const Vec p = path.at[static_cast<Size>(first)];
    open(static_cast<int>(p.x), static_cast<int>(p.y));
  }
  const auto far = [&](int x, int y, int nx, int ny) {
    const std::uint8_t *p = picture.at(x, y), *q = picture.at(nx, ny);
    const int r = p[0] - q[0], g = p[1] - q[1], b = p[2] - q[2];
    return r * r + g * g + b * b > 22 * 22;
  };
  while (!stack.empty()) {
    const int at = stack.back(), x = at % width_, y = at / width_;
    stack.pop_back();
    const int next[4][2] = {{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}};
    for (const auto& n : next) {
      if (n[0] < 0 || n[1] < 0 || n[0] >= width_ || n[1] >= height_ || far(x, y, n[0], n[1])) continue;
      open(n[0], n[1]);
    }
  }
}

bool Solids::solid(double x, double y) const {
  const int i = static_cast<int>(std::floor(x)), j = static_cast<int>(std::floor(y));
  if (i < 0 || j < 0 || i >= width_ || j >= height_) return true;
  return solid_[static_cast<Size>(j * width_ + i)];
}

double Solids::gap(Vec centre, double radius, Vec way, double reach) const {
  for (double d = -2; d < reach; d += 0.5) {
    if (solid(centre.x + way.x * (radius + d + 0.5), centre.y + way.y * (radius + d + 0.5))) return std::max(0.0, d);
  }
  return reach;
}

double Solids::overlap(Vec centre, double radius) const {
  int inside = 0, total = 0;
  for (int i = -6; i <= 6; ++i) {
    for (int j = -6; j <= 6; ++j) {
      if (i * i + j * j > 36) continue;
      ++total;
      const double x = centre.x + i * radius / 6.5, y = centre.y + j * radius / 6.5;
      if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;  // the picture ends there, not the world
      inside += solid(x, y);
    }
  }
  return static_cast<double>(inside) / total;
}

bool touching(const Path& a, const Path& b, int frame, double slack) {
  const Size t = static_cast<Size>(frame);
  if (!a.seen[t] || !b.seen[t]) return false;
  return length(a.at[t] - b.at[t]) < a.radius + b.radius + slack;
}

}  // namespace orrery::laws
