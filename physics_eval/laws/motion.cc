#include "physics_eval/laws/motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "physics_eval/track/colour.h"
#include "physics_eval/track/regions.h"

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
      for (Size k = 0; k < static_cast<Size>(n); ++k)
        a[r][k] -= factor * a[c][k], inverse[r][k] -= factor * inverse[c][k];
    }
  }
  a = inverse;
  return true;
}

// From the 30% quantile of absolute third differences (0.385 standard deviations, √20 of the coordinate's noise): the
// noise where the path is smooth, even when it is shaken half of the time. Beyond a quarter of a pixel it is no longer
// the measurement's.
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
  return std::clamp(*low / (0.385 * std::sqrt(20.0)), 0.015, 0.25);
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
  for (Size k = 1; k < coefficient.size(); ++k)
    sum = sum + coefficient[k] * (power * static_cast<double>(k)), power *= frame - origin;
  return sum;
}

namespace {

// About as long as wide in most frames: 2π (xx + yy) / area is 1 for a disc, 1.047 for a square.
bool compact(const Path& path, double most = 1.25) {
  std::vector<double> values;
  for (int t = 0; t < path.frames(); ++t) {
    const Observation& o = path.track->frames[static_cast<Size>(t)];
    if (path.clean[static_cast<Size>(t)] && o.area > 1) values.push_back(6.2831853 * (o.xx + o.yy) / o.area);
  }
  return !values.empty() && median(std::move(values)) < most;
}

// The median step of the logarithm of the area from frame to frame.
bool keeps_area(const Path& path) {
  std::vector<double> steps;
  double last = 0;
  for (int t = 0; t < path.frames(); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    const double here = std::log(std::max(1.0, path.track->frames[static_cast<Size>(t)].area));
    if (last > 0) steps.push_back(std::abs(here - last));
    last = here;
  }
  if (steps.size() < 3) return false;
  const auto at = [&](double share) {
    const auto place = steps.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(steps.size() - 1));
    std::nth_element(steps.begin(), place, steps.end());
    return *place;
  };
  // Few frames tell little: then only what is clearly soft counts as soft.
  const double usual =
      (0.015 + 0.12 / std::max(2.0, path.radius)) * (steps.size() < 12 ? 2 : 1) * (compact(path, 1.15) ? 2 : 1);
  return at(0.5) < usual && at(0.85) < 3 * usual;
}

// Its length to width changes bit by bit: it flows, or it is not always the same thing. One or two sudden steps are a
// rigid body that breaks its law.
bool keeps_shape(const Path& path) {
  if (compact(path, 1.05)) return true;
  std::vector<double> longer;
  for (int t = 0; t < path.frames(); ++t) {
    const Observation& o = path.track->frames[static_cast<Size>(t)];
    if (!path.clean[static_cast<Size>(t)] || o.completed) continue;
    const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
    longer.push_back(0.5 * std::log((half + spread) / std::max(1e-6, half - spread)));
  }
  if (longer.size() < 10) return true;
  std::vector<double> smooth, steps;
  for (Size i = 2; i + 2 < longer.size(); ++i)
    smooth.push_back(median({longer[i - 2], longer[i - 1], longer[i], longer[i + 1], longer[i + 2]}));
  for (Size i = 1; i < smooth.size(); ++i) steps.push_back(std::abs(smooth[i] - smooth[i - 1]));
  std::sort(steps.begin(), steps.end());
  double sum = 0;
  for (Size i = 0; i + 3 < steps.size(); ++i) sum += steps[i];
  return sum < 0.4;
}

bool held_by_line(const Path& path, const std::vector<std::vector<LineRun>>& lines) {
  int held = 0;
  for (int t = 0; t < path.frames() && static_cast<Size>(t) < lines.size(); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    const Vec p = path.at[static_cast<Size>(t)];
    for (const LineRun& run : lines[static_cast<Size>(t)]) {
      const double dx = p.x - std::clamp(p.x, static_cast<double>(run.x0), static_cast<double>(run.x1)),
                   dy = p.y - run.y - 0.5;
      if (std::hypot(dx, dy) < path.radius + 2.5) {
        ++held;
        break;
      }
    }
  }
  return held * 10 > path.count * 6;
}

// The outline's spread (1 for a disc) varies: it flows. A ball on the border of what can be measured does not.
bool changes_shape(const Path& path) {
  std::vector<double> values;
  for (int t = 0; t < path.frames(); ++t) {
    const Observation& o = path.track->frames[static_cast<Size>(t)];
    if (path.seen[static_cast<Size>(t)] && o.area > 1) values.push_back(std::log(6.2831853 * (o.xx + o.yy) / o.area));
  }
  if (values.size() < 4) return false;
  std::sort(values.begin(), values.end());
  return values[values.size() * 9 / 10] > 0.3 && values[values.size() * 9 / 10] - values[values.size() / 10] > 0.12;
}

// A lighter line that stays on top of what is of its colour: a fluid's surface.
bool is_surface(const Path& line, const Path& body) {
  if (&line == &body || 3 * line.track->area > body.track->area || compact(line) || line.count < 6) return false;
  int on_top = 0, both = 0;
  for (int t = 0; t < line.frames(); ++t) {
    const Size i = static_cast<Size>(t);
    if (!line.seen[i] || !body.seen[i]) continue;
    ++both;
    on_top += line.at[i].y < body.at[i].y - 0.5 * body.radius && surface_gap(line.at[i], body, t) < 4;
  }
  return both >= 6 && on_top * 10 > both * 8;
}

// Several bodies of one size, each seen whole: blocks in a row, not drops.
bool alike(const std::vector<Path>& paths, const std::vector<Size>& members) {
  for (const Size a : members) {
    int same = 0;
    for (const Size b : members) {
      const double ratio = paths[a].track->area / std::max(1.0, paths[b].track->area);
      same += paths[b].count >= 4 && paths[b].track->area > 20 && ratio > 0.94 && ratio < 1.06;
    }
    if (same >= 3) return true;
  }
  return false;
}

// A colour that also lies in the background (water at rest), or whose largest piece flows: all of it is a fluid, drops
// that keep their size for a while too.
void mark_fluids(const Tracks& tracks, std::vector<Path>& paths) {
  const double picture = static_cast<double>(tracks.width) * tracks.height;
  for (Size c = 0; c < tracks.colours.size(); ++c) {
    const ColourArea& colour = tracks.colours[c];
    const tracking::Chroma mine = tracking::chroma(colour.colour);
    const double strength = std::hypot(mine.u, mine.v);
    const auto of_colour = [&](const Path& path) {
      const tracking::Chroma theirs = tracking::chroma(path.track->colour);
      const double along = (theirs.u * mine.u + theirs.v * mine.v) / strength,
                   across = (theirs.u * mine.v - theirs.v * mine.u) / strength;
      return along > 0.35 * strength && std::abs(across) < 0.2 * strength + 0.05;
    };
    bool fluid = false;
    std::vector<Size> members;
    for (Size k = 0; k < paths.size(); ++k) {
      if (of_colour(paths[k])) members.push_back(k);
    }
    if (alike(paths, members)) continue;
    // It breaks into pieces that change all the time.
    fluid = std::count_if(members.begin(), members.end(), [&](Size k) { return !paths[k].rigid; }) >= 5;
    for (const Path& path : paths) {
      if (!of_colour(path)) continue;
      fluid = fluid || (colour.in_background > 0.03 && changes_shape(path)) ||
              (colour.in_background > 0.1 && !path.rigid && !compact(path)) ||
              (!path.rigid && path.track->area > 0.015 * picture && changes_shape(path));
    }
    for (const Path& foam : paths) {
      for (const Path& body : paths) fluid = fluid || (of_colour(foam) && of_colour(body) && is_surface(foam, body));
    }
    for (Path& path : paths) {
      const bool ball = path.rigid && path.count >= 10 && path.track->area > 0.015 * picture && compact(path, 1.05);
      if (fluid && of_colour(path) && !ball) path.rigid = false, path.fluid = static_cast<int>(c);
    }
  }
  if (std::none_of(paths.begin(), paths.end(), [](const Path& p) { return p.fluid >= 0; })) return;
  // Beside a fluid outlines are wetted; what holds it is moved by a hand; scraps are spray.
  for (Path& path : paths) {
    if (path.fluid >= 0) continue;
    const tracking::Chroma c = tracking::chroma(path.track->colour);
    const bool grey = c.u * c.u + c.v * c.v < 0.2 * 0.2;
    if (path.track->area < 0.006 * picture || (path.attached && !compact(path)) || (grey && !compact(path)))
      path.rigid = false;
    path.trust = std::min(path.trust, 0.45);
  }
}

// Bodies of one colour side by side that are no balls: what belongs to which is a guess.
void doubt_clusters(std::vector<Path>& paths) {
  for (Size a = 0; a < paths.size(); ++a) {
    int close = 0;
    for (Size b = 0; b < paths.size() && !compact(paths[a], 1.025); ++b) {
      if (a == b || tracking::colour_distance(paths[a].track->colour, paths[b].track->colour) > 0.25) continue;
      for (int t = 0; t < paths[a].frames(); ++t) close += touching(paths[a], paths[b], t, 3);
    }
    if (close > 2) paths[a].trust = std::min(paths[a].trust, 0.4);
  }
}

// A body of one colour with others that are no balls, and from some frame on larger by more than half while one of them
// that was beside it is gone: it has taken that one in, and what is seen of it is no body.
void part_crowds(std::vector<Path>& paths) {
  const auto base_of = [](const Path& path) {
    std::vector<double> first;
    for (int t = 0; t < path.frames() && first.size() < 8; ++t) {
      if (path.clean[static_cast<Size>(t)]) first.push_back(path.track->frames[static_cast<Size>(t)].area);
    }
    return first.size() < 4 ? 0.0 : median(first);
  };
  for (Size a = 0; a < paths.size(); ++a) {
    Path& path = paths[a];
    const double base = base_of(path);
    if (base <= 0 || path.fluid >= 0 || compact(path, 1.025)) continue;
    int since = path.frames();
    for (Size b = 0; b < paths.size(); ++b) {
      const Path& other = paths[b];
      if (a == b || tracking::colour_distance(path.track->colour, other.track->colour) > 0.25) continue;
      const int last = other.track->last();
      if (last < 0 || last + 1 >= path.frames()) continue;
      bool beside = false;
      for (int t = std::max(0, last - 2); t <= last; ++t) beside = beside || touching(path, other, t, 4);
      if (beside) since = std::min(since, last);
    }
    for (int t = since; t < path.frames(); ++t) {
      const Size i = static_cast<Size>(t);
      if (path.clean[i] && path.track->frames[i].area > 1.5 * base)
        path.clean[i] = 0, --path.count, path.trust = std::min(path.trust, 0.4);
    }
  }
}

// A few grey pixels beside something much larger: the shade between two bodies, a piece of an edge.
void doubt_scraps(std::vector<Path>& paths) {
  constexpr double kScrap = 16;  // pixels²
  for (Path& scrap : paths) {
    const tracking::Chroma c = tracking::chroma(scrap.track->colour);
    if (scrap.track->area > kScrap || c.u * c.u + c.v * c.v > 0.2 * 0.2) continue;
    const int first = scrap.track->first();
    const bool beside = std::any_of(paths.begin(), paths.end(), [&](const Path& other) {
      if (&other == &scrap || other.track->area < 4 * scrap.track->area) return false;
      for (int t = std::max(0, first); t < scrap.frames(); ++t) {
        if (touching(scrap, other, t, 3)) return true;
      }
      return false;
    });
    if (beside) scrap.trust = std::min(scrap.trust, 0.3);
  }
}

}  // namespace

std::vector<Path> make_paths(const Tracks& tracks) {
  std::vector<Path> out;
  Size with_lines = 0;
  for (const auto& lines : tracks.lines) with_lines += !lines.empty();
  const bool lined = with_lines * 2 > tracks.lines.size();
  for (const Track& track : tracks.tracks) {
    Path path;
    path.track = &track;
    path.radius = track.radius();
    for (const Observation& o : track.frames) {
      path.seen.push_back(o.visible);
      path.clean.push_back(o.visible && (o.completed || (!o.cut && !o.merged)));
      path.at.push_back({o.x, o.y});
      path.count += path.clean.back();
    }
    path.noise = path_noise(path);
    path.round = compact(path, 1.05);
    path.rigid = keeps_area(path) && keeps_shape(path);
    path.attached = held_by_line(path, tracks.lines);
    if (lined && track.colour_word == "grey") path.rigid = false;  // a thick part of what holds bodies
    out.push_back(std::move(path));
  }
  mark_fluids(tracks, out);
  doubt_clusters(out);
  part_crowds(out);
  doubt_scraps(out);
  return out;
}

void NormalEquations::add(const std::array<double, 6>& row, Vec value) {
  for (Size i = 0; i < static_cast<Size>(columns_); ++i) {
    for (Size j = 0; j < static_cast<Size>(columns_); ++j) a_[i][j] += row[i] * row[j];
    b_[i] = b_[i] + value * row[i];
  }
}

bool NormalEquations::solve(Regression& out) const {
  auto a = a_;
  if (!invert(a, columns_)) return false;
  out.coefficient.assign(static_cast<Size>(columns_), {});
  for (Size i = 0; i < static_cast<Size>(columns_); ++i) {
    for (Size j = 0; j < static_cast<Size>(columns_); ++j) out.coefficient[i] = out.coefficient[i] + b_[j] * a[i][j];
    out.unit_sigma.push_back(std::sqrt(std::max(0.0, a[i][i])));
  }
  return true;
}

Fit fit_path(const Path& path, int first, int last, int degree, double origin) {
  Fit fit;
  fit.origin = origin;
  const Regression r = regress(path, first, last, degree + 1, [&](int t, std::array<double, 6>& row) {
    double power = 1;
    for (Size k = 0; k <= static_cast<Size>(degree); ++k) row[k] = power, power *= t - origin;
  });
  if (!r.ok) return fit;
  fit.coefficient = r.coefficient;
  for (const double s : r.unit_sigma) fit.sigma.push_back(path.noise * s);
  fit.rms = std::sqrt(r.square / (2 * r.count));
  fit.ok = true;
  return fit;
}

Solids::Solids(const Tracks& tracks, std::span<const Path> paths)
    : picture_(&tracks.background), width_(tracks.width), height_(tracks.height) {
  // Open space: flooded from the bodies' places over steps that no edge of a fixed thing makes.
  solid_.assign(static_cast<Size>(width_) * static_cast<Size>(height_), 1);
  if (picture_->empty()) return;
  std::vector<Vec> places;
  for (const Path& path : paths) {
    const int first = path.track->first();
    if (first >= 0 && path.moves()) places.push_back(path.at[static_cast<Size>(first)]);
  }
  flood(places);
  open_coloured(*picture_);
  open_specks(paths);
}

void Solids::flood(std::span<const Vec> places) {
  const Frame& picture = *picture_;
  std::vector<int> stack;
  const auto open = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
    char& s = solid_[static_cast<Size>(y * width_ + x)];
    if (s) s = 0, stack.push_back(y * width_ + x);
  };
  for (const Vec& p : places) open(static_cast<int>(p.x), static_cast<int>(p.y));
  const auto far = [&](int x, int y, int nx, int ny, int step) {
    const std::uint8_t *p = picture.at(x, y), *q = picture.at(nx, ny);
    const int r = p[0] - q[0], g = p[1] - q[1], b = p[2] - q[2];
    return r * r + g * g + b * b > step * step;
  };
  // A pixel on an edge is open space's last: over a slanting edge every single step is a small one.
  const auto on_edge = [&](int x, int y) {
    const int left = std::max(0, x - 1), right = std::min(width_ - 1, x + 1);
    const int above = std::max(0, y - 1), below = std::min(height_ - 1, y + 1);
    return far(left, y, right, y, 32) || far(x, above, x, below, 32);
  };
  while (!stack.empty()) {
    const int at = stack.back(), x = at % width_, y = at / width_;
    stack.pop_back();
    if (on_edge(x, y)) continue;
    const int next[4][2] = {{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}};
    for (const auto& n : next) {
      if (n[0] < 0 || n[1] < 0 || n[0] >= width_ || n[1] >= height_ || far(x, y, n[0], n[1], 22)) continue;
      // A soft edge is two small steps.
      const int px = 2 * x - n[0], py = 2 * y - n[1];
      if (px >= 0 && py >= 0 && px < width_ && py < height_ && far(px, py, n[0], n[1], 32)) continue;
      open(n[0], n[1]);
    }
  }
}

namespace {

// Where a body rests it is part of the picture, and no fixed thing: use(x, y) for every pixel of it.
template <class Use>
void for_resting_places(std::span<const Path> paths, const Use& use) {
  for (const Path& path : paths) {
    if (!path.moves() && !path.round) continue;
    Vec last{-1e9, -1e9};
    for (int t = 1; t < path.frames(); ++t) {
      const Size i = static_cast<Size>(t);
      if (!path.seen[i] || !path.seen[i - 1] || length(path.at[i] - path.at[i - 1]) > 0.08) continue;
      if (length(path.at[i] - last) < 0.5) continue;
      last = path.at[i];
      const double reach = path.radius + 0.7;
      for (int y = static_cast<int>(last.y - reach); y <= static_cast<int>(last.y + reach); ++y) {
        for (int x = static_cast<int>(last.x - reach); x <= static_cast<int>(last.x + reach); ++x) {
          if (std::hypot(x + 0.5 - last.x, y + 0.5 - last.y) < reach) use(x, y);
        }
      }
    }
  }
}

}  // namespace

// What is smaller than the bodies and stands by itself is a pivot, a peg or a mark, and behind them.
void Solids::open_specks(std::span<const Path> paths) {
  for_resting_places(paths, [&](int x, int y) {
    if (x >= 0 && y >= 0 && x < width_ && y < height_) solid_[static_cast<Size>(y * width_ + x)] = 0;
  });
  double largest = 0;
  for (const Path& path : paths) {
    if (path.moves()) largest = std::max(largest, path.track->area);
  }
  const std::vector<std::uint8_t> labels(solid_.begin(), solid_.end());
  for (const tracking::Region& region : tracking::find_regions(labels, width_, height_)) {
    const bool border =
        region.min_x == 0 || region.min_y == 0 || region.max_x == width_ - 1 || region.max_y == height_ - 1;
    if (border || region.pixels > 0.7 * largest) continue;
    for (const tracking::Run& run : region.runs) {
      for (int x = run.x0; x < run.x1; ++x) solid_[static_cast<Size>(run.y * width_ + x)] = 0;
    }
  }
}

// Water at rest is part of the background and no obstacle: fixed things are grey enough.
void Solids::open_coloured(const Frame& picture) {
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const std::uint8_t* p = picture.at(x, y);
      const tracking::Chroma c = tracking::chroma(p[0], p[1], p[2]);
      if (c.u * c.u + c.v * c.v > 0.35 * 0.35) solid_[static_cast<Size>(y * width_ + x)] = 0;
    }
  }
}

bool Solids::solid(double x, double y) const {
  const int i = static_cast<int>(std::floor(x)), j = static_cast<int>(std::floor(y));
  if (i < 0 || j < 0 || i >= width_ || j >= height_) return true;
  return solid_[static_cast<Size>(j * width_ + i)];
}

double Solids::gap(Vec centre, double radius, Vec way, double reach, bool open_border) const {
  for (double d = -2; d < reach; d += 0.5) {
    const double x = centre.x + way.x * (radius + d + 0.5), y = centre.y + way.y * (radius + d + 0.5);
    if (open_border && (x < 0 || y < 0 || x >= width_ || y >= height_)) continue;
    if (solid(centre.x + way.x * (radius + d + 0.5), centre.y + way.y * (radius + d + 0.5))) return std::max(0.0, d);
  }
  return reach;
}

double Solids::overlap(Vec centre, double radius) const {
  int inside = 0, total = 0, all = 0;
  for (int i = -6; i <= 6; ++i) {
    for (int j = -6; j <= 6; ++j) {
      if (i * i + j * j > 36) continue;
      const double x = centre.x + i * radius / 6.5, y = centre.y + j * radius / 6.5;
      ++all;
      if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;  // the picture ends there, not the world
      ++total;
      inside += solid(x, y);
    }
  }
  return static_cast<double>(inside) / std::max({1, total, all / 4});
}

}  // namespace orrery::laws
