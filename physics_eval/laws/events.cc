// Sudden changes of motion and what made them.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/motion.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Frames that the body was seen in without being cut: merged views count, with their larger noise.
bool usable(const Path& path, int t) {
  if (t < 0 || t >= path.frames() || !path.seen[static_cast<Size>(t)]) return false;
  const Observation& o = path.track->frames[static_cast<Size>(t)];
  if (o.merged && !o.completed && !path.round) return false;  // its share of the pixels is a guess
  return o.completed || !o.cut;
}

Vec second_difference(const Path& path, int t) {
  const Size i = static_cast<Size>(t);
  return path.at[i + 1] - path.at[i] * 2 + path.at[i - 1];
}

// How far the centre may be off where the area is not what it is in the frames before or after: pixels that are missing
// or too many lie on one side.
double off_centre(const Path& path, int t) {
  const Observation& o = path.track->frames[static_cast<Size>(t)];
  if (!path.round || o.merged || o.cut || o.completed) return 0;
  double least = 1e9;
  for (const int way : {-1, 1}) {
    std::vector<double> area;
    for (int k = 1; k <= 5; ++k) {
      const int other = t + way * k;
      if (other >= 0 && other < path.frames() && path.clean[static_cast<Size>(other)])
        area.push_back(path.track->frames[static_cast<Size>(other)].area);
    }
    if (area.size() >= 3) least = std::min(least, std::abs(median(std::move(area)) - o.area));
  }
  return least < 1e9 && least > 0.02 * o.area ? least * path.radius / std::max(1.0, o.area) : 0;
}

// One push shows in two second differences: three alike on end are no push but a pull that lasts.
bool lasts(const Path& path, const std::vector<char>& ok, int t, double within) {
  for (int first = t - 2; first <= t; ++first) {
    bool alike = true;
    for (int k = first; k < first + 3; ++k) {
      alike = alike && k >= 1 && k + 1 < path.frames() && ok[static_cast<Size>(k)] &&
              length(second_difference(path, k) - second_difference(path, t)) < within;
    }
    if (alike) return true;
  }
  return false;
}

struct Innovations {
  std::vector<char> ok;
  std::vector<Vec> value;
  std::vector<double> limit;
};

Innovations innovations(const Path& path) {
  const int n = path.frames();
  Innovations out{std::vector<char>(static_cast<Size>(n), 0), std::vector<Vec>(static_cast<Size>(n)),
                  std::vector<double>(static_cast<Size>(n), 0)};
  for (int t = 1; t + 1 < n; ++t)
    out.ok[static_cast<Size>(t)] = usable(path, t - 1) && usable(path, t) && usable(path, t + 1);
  for (int t = 1; t + 1 < n; ++t) {
    if (!out.ok[static_cast<Size>(t)]) continue;
    std::vector<double> ax, ay;
    for (int k = std::max(1, t - 6); k <= std::min(n - 2, t + 6); ++k) {
      if (std::abs(k - t) < 2 || !out.ok[static_cast<Size>(k)]) continue;
      const Vec d = second_difference(path, k);
      ax.push_back(d.x), ay.push_back(d.y);
    }
    const Vec usual = ax.size() < 3 ? Vec{} : Vec{median(ax), median(ay)};
    out.value[static_cast<Size>(t)] = second_difference(path, t) - usual;
    double sigma = path.noise;
    for (int k = t - 1; k <= t + 1; ++k) {
      const Observation& o = path.track->frames[static_cast<Size>(k)];
      if (o.merged) sigma = std::max(sigma, o.sigma);
    }
    out.limit[static_cast<Size>(t)] =
        std::max(0.3, 7 * 2.45 * sigma) + off_centre(path, t - 1) + 2 * off_centre(path, t) + off_centre(path, t + 1);
    if (lasts(path, out.ok, t, std::max(0.1, 2.5 * 2.45 * sigma))) {
      out.limit[static_cast<Size>(t)] = 1e9;
      continue;
    }
    // Where the motion is fast but smooth its neighbours foretell the second difference.
    const double own = length(out.value[static_cast<Size>(t)]);
    double lively = 0, apart = own;
    for (const int k : {2, 3}) {
      const bool before = t - k >= 1 && out.ok[static_cast<Size>(t - k)],
                 after = t + k <= n - 2 && out.ok[static_cast<Size>(t + k)];
      if (before) lively = std::max(lively, length(second_difference(path, t - k) - usual));
      if (after) lively = std::max(lively, length(second_difference(path, t + k) - usual));
      if (!before || !after) continue;
      const Vec between = (second_difference(path, t - k) + second_difference(path, t + k)) * 0.5;
      apart = std::min(apart, length(second_difference(path, t) - between));
    }
    // The same by the cubic through the four neighbours that a push at t leaves as they are.
    const auto neighbours = {-3, -2, 2, 3};
    if (std::all_of(neighbours.begin(), neighbours.end(),
                    [&](int k) { return t + k >= 1 && t + k <= n - 2 && out.ok[static_cast<Size>(t + k)]; })) {
      const Vec cubic = (second_difference(path, t - 2) + second_difference(path, t + 2)) * 0.9 -
                        (second_difference(path, t - 3) + second_difference(path, t + 3)) * 0.4;
      apart = std::min(apart, length(second_difference(path, t) - cubic));
    }
    // Near the clip's ends, and a gap's, one side has to do.
    for (const int way : {-1, 1}) {
      const auto ok = [&](int k) {
        return t + way * k >= 1 && t + way * k <= n - 2 && out.ok[static_cast<Size>(t + way * k)];
      };
      if (ok(-2) || !ok(2) || !ok(3) || !ok(4)) continue;
      const Vec ahead = second_difference(path, t + 2 * way) * 6 - second_difference(path, t + 3 * way) * 8 +
                        second_difference(path, t + 4 * way) * 3;
      apart = std::min(apart, length(second_difference(path, t) - ahead));
    }
    if (lively > 0.5 * own && apart < 0.6 * own) out.limit[static_cast<Size>(t)] = 1e9;
  }
  return out;
}

// Velocity of the frames [first, last] at frame `at`, from the best polynomial they allow.
bool side_velocity(const Path& path, int first, int last, double at, Vec& velocity, double& sigma) {
  const Fit fit = fit_path(path, first, last, last - first >= 4 ? 2 : 1, at);
  if (!fit.ok) {
    const Fit line = fit_path(path, first, last, 1, at);
    if (!line.ok) return false;
    velocity = line.velocity(at), sigma = line.sigma[1];
    return true;
  }
  velocity = fit.velocity(at), sigma = fit.sigma[1];
  return true;
}

// Scraps of a spring or of spray push nothing; a fluid does.
bool can_push(const Path& other, const Path& pushed) {
  return other.rigid || other.fluid >= 0 || other.track->area > 0.5 * pushed.track->area;
}

void explain(Event& event, const Path& path, std::span<const Path> paths, const Solids& solids,
             const std::vector<std::vector<LineRun>>& lines) {
  const Vec push = length(event.change) > 1e-9 ? event.change * (1 / length(event.change)) : Vec{};
  event.push = push;
  const double reach = 2.0 + length(event.change);
  // What the picture's border cuts passes through it: no wall stands there.
  bool cut = false;
  for (int t = std::max(0, event.frame - 2); t <= std::min(path.frames() - 1, event.frame + 1); ++t)
    cut = cut || path.track->frames[static_cast<Size>(t)].cut;
  double nearest = reach;
  for (int t = event.frame - 2; t <= event.frame + 1; ++t) {
    if (!usable(path, t)) continue;
    for (int k = -2; k <= 2; ++k) {  // friction tilts the push
      const double c = std::cos(0.25 * k), s = std::sin(0.25 * k);
      nearest = std::min(nearest, solids.gap(path.at[static_cast<Size>(t)], path.radius,
                                             {-(c * push.x - s * push.y), -(s * push.x + c * push.y)}, reach, cut));
    }
  }
  event.on_solid = nearest < reach - 0.25;
  double closest = 1e9;
  for (Size j = 0; j < paths.size(); ++j) {
    if (static_cast<int>(j) == event.body || !can_push(paths[j], path)) continue;
    for (int t = event.frame - 2; t <= event.frame + 1; ++t) {
      if (!usable(path, t) || t < 0 || t >= paths[j].frames() || !paths[j].seen[static_cast<Size>(t)]) continue;
      const double surface = surface_gap(path, paths[j], t);
      if (surface > reach + 1 || surface > closest) continue;
      // Where a wall explains the push, another from afar has to stand where it pushes from.
      const Vec away = paths[j].at[static_cast<Size>(t)] - path.at[static_cast<Size>(t)];
      if (event.on_solid && surface > 3 && dot(away, push) > -0.3 * length(away)) continue;
      closest = surface;
      event.other = static_cast<int>(j);
    }
  }
  for (int t = event.frame - 2; t <= event.frame + 1 && !path.attached; ++t)
    event.on_line = event.on_line || (usable(path, t) && near_line(path, t, lines, 2.5));
}

}  // namespace

std::vector<Event> find_events(std::span<const Path> paths, const Solids& solids,
                               const std::vector<std::vector<LineRun>>& lines) {
  std::vector<Event> out;
  for (Size b = 0; b < paths.size(); ++b) {
    const Path& path = paths[b];
    if (!path.moves()) continue;
    const Innovations innovation = innovations(path);
    const int n = path.frames();
    const auto sudden = [&](int t) {
      const Size i = static_cast<Size>(t);
      return t > 0 && t + 1 < n && innovation.ok[i] && length(innovation.value[i]) > innovation.limit[i];
    };
    for (int t = 1; t + 1 < n; ++t) {
      if (!sudden(t)) continue;
      // One push shows in two second differences; what turns the other way after that is another push. A jump turns
      // after one, which may have a slight one before it.
      int last = t, strong = 1;
      Vec sum = innovation.value[static_cast<Size>(t)];
      while (sudden(last + 1) && last - t < 3) {
        const Vec next = innovation.value[static_cast<Size>(last) + 1];
        if (strong > 1 && dot(next, sum) < -0.3 * length(next) * length(sum)) break;
        const bool slight = length(sum) < 0.3 * length(next);
        strong = slight ? 1 : strong + 1;
        sum = sum + next, ++last;
      }
      Event event;
      event.body = static_cast<int>(b);
      event.frame = t + 1;
      for (int k = t; k <= last; ++k) {
        event.change = event.change + innovation.value[static_cast<Size>(k)];
        event.peak = std::max(event.peak, length(innovation.value[static_cast<Size>(k)]));
      }
      event.sigma = innovation.limit[static_cast<Size>(t)] / 7;
      double s1 = 0, s2 = 0;
      Vec before, after;
      const bool both = side_velocity(path, t - 5, t, t + 0.5, before, s1) &&
                        side_velocity(path, last, last + 5, last - 0.5 + 1, after, s2);
      event.before = both ? before : path.at[static_cast<Size>(t)] - path.at[static_cast<Size>(t) - 1];
      event.after = both ? after : path.at[static_cast<Size>(last) + 1] - path.at[static_cast<Size>(last)];
      event.jump = last > t && length(event.change) < 0.4 * event.peak;
      if (event.jump) {
        event.push = {};
      } else {
        explain(event, path, paths, solids, lines);
      }
      out.push_back(event);
      t = last;
    }
  }
  return out;
}

}  // namespace orrery::laws
