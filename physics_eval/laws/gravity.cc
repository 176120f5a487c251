// Constant acceleration: whatever flies freely does so with one and the same acceleration, downwards in the picture.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

constexpr int kWindow = 7;

// A stretch of free flight: acceleration (pixels a frame²) over frames [first, first + kWindow).
struct Flight {
  int body, first;
  Vec acceleration;
  double sigma;
  bool bent;  // the acceleration changes within the stretch
};

bool near_solid(const Context& context, const Path& path, int frame) {
  for (int k = 0; k < 8; ++k) {
    const Vec way{std::cos(k * 0.7853981634), std::sin(k * 0.7853981634)};
    if (context.solids.gap(path.at[static_cast<Size>(frame)], path.radius, way, 2.0) < 1.6) return true;
  }
  return false;
}

bool near_body(const Context& context, Size body, int frame) {
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (j != body && touching(context.paths[body], context.paths[j], frame, 2.5)) return true;
  }
  return false;
}

bool still(const Path& path, int first) {
  const Size a = static_cast<Size>(first), b = a + kWindow - 1;
  return length(path.at[b] - path.at[b - 1]) < std::max(0.05, 3 * path.noise) &&
         length(path.at[a + 1] - path.at[a]) < std::max(0.05, 3 * path.noise) &&
         length(path.at[b] - path.at[a]) < std::max(0.1, 4 * path.noise);
}

std::vector<Flight> find_flights(const Context& context, Size body) {
  const Path& path = context.paths[body];
  std::vector<Flight> out;
  if (!path.moves() || path.attached || context.swings[body] || context.orbits[body]) return out;
  const std::vector<char>& free = context.free[body];
  for (int first = 0; first + kWindow <= context.frames; ++first) {
    bool usable = true;
    for (int t = first; t < first + kWindow; ++t) usable = usable && free[static_cast<Size>(t)];
    for (const Event& event : context.events) {
      usable =
          usable && !(event.body == static_cast<int>(body) && event.frame > first && event.frame <= first + kWindow);
    }
    if (!usable || still(path, first)) continue;
    const double middle = first + (kWindow - 1) / 2.0;
    const Fit square = fit_path(path, first, first + kWindow - 1, 2, middle),
              cube = fit_path(path, first, first + kWindow - 1, 3, middle);
    if (!square.ok || !cube.ok) continue;
    out.push_back({static_cast<int>(body), first, square.coefficient[2] * 2, square.sigma[2] * 2,
                   length(cube.coefficient[3]) > 5 * cube.sigma[3]});
  }
  return out;
}

double limit(const Flight& flight, Vec usual) { return std::max({6 * flight.sigma, 0.12 * length(usual), 0.025}); }

Vec median_acceleration(const std::vector<Flight>& flights) {
  std::vector<double> x, y;
  for (const Flight& f : flights) x.push_back(f.acceleration.x), y.push_back(f.acceleration.y);
  return {median(std::move(x)), median(std::move(y))};
}

// The acceleration that most flights share: the median of the largest group that agrees within its noise.
Vec common_acceleration(const std::vector<Flight>& all) {
  std::vector<Flight> best;
  for (const Flight& centre : all) {
    std::vector<Flight> group;
    for (const Flight& f : all) {
      if (length(f.acceleration - centre.acceleration) < limit(f, centre.acceleration)) group.push_back(f);
    }
    if (group.size() > best.size()) best = std::move(group);
  }
  return median_acceleration(best);
}

// A broken law shows another, steady acceleration; an orbit shows all kinds.
bool is_plateau(const std::vector<Flight>& flights, Size begin, Size end) {
  // Leave the stretches that straddle the change out where there are enough others.
  const Size n = end - begin, skip = n > 2 * kWindow ? kWindow - 1 : n / 3;
  std::vector<Flight> inner;
  for (Size k = begin == 0 ? begin : begin + skip; k < (begin == 0 && end < flights.size() ? end - skip : end); ++k)
    inner.push_back(flights[k]);
  if (inner.size() < 2) return false;
  const Vec level = median_acceleration(inner);
  Size near = 0;
  for (const Flight& f : inner) near += length(f.acceleration - level) < limit(f, level);
  return near * 10 >= inner.size() * 7;
}

// Longest run of flights that deviate from the usual acceleration; the frame at which the change happens.
void test_constancy(const std::vector<Flight>& flights, Vec usual, const Path& path, Verdict& out) {
  for (Size i = 0; i < flights.size();) {
    const auto deviation = [&](Size k) { return length(flights[k].acceleration - usual) / limit(flights[k], usual); };
    if (deviation(i) <= 0.5) {
      ++i;
      continue;
    }
    Size end = i;
    std::vector<double> sizes;
    while (end < flights.size() && deviation(end) > 0.5) sizes.push_back(deviation(end++));
    // A stretch that straddles the change is bent; the middle of the first straddling stretches is where it lies.
    const bool at_start = i == 0 && end < flights.size();
    const int frame = at_start ? flights[end - 1].first + kWindow / 2 : flights[i].first + kWindow / 2;
    if (sizes.size() >= 3 && is_plateau(flights, i, end)) {
      std::sort(sizes.begin(), sizes.end());
      out.add(frame, at_start ? frame : flights[end - 1].first + kWindow, sizes[sizes.size() * 2 / 3], {path.track->id},
              say("body %d falls with another acceleration than before", path.track->id));
    }
    i = end;
  }
}

}  // namespace

std::vector<std::vector<char>> find_free(const Context& context) {
  std::vector<std::vector<char>> out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    std::vector<char> mine(static_cast<Size>(context.frames), 0);
    for (int t = 0; t < context.frames; ++t) {
      mine[static_cast<Size>(t)] =
          path.clean[static_cast<Size>(t)] && !near_solid(context, path, t) && !near_body(context, b, t);
    }
    out.push_back(std::move(mine));
  }
  return out;
}

namespace {

// The flights of every body, without those that bend all the time (orbits), and all the straight ones together.
std::vector<std::vector<Flight>> all_flights(const Context& context, std::vector<Flight>& all) {
  std::vector<std::vector<Flight>> by_body;
  for (Size b = 0; b < context.paths.size(); ++b) {
    by_body.push_back(find_flights(context, b));
    const auto& mine = by_body.back();
    int bent = 0;
    for (const Flight& f : mine) bent += f.bent;
    if (bent * 10 > static_cast<int>(mine.size()) * 4 + 30) {
      by_body.back().clear();
      continue;
    }
    for (const Flight& f : mine) {
      if (!f.bent) all.push_back(f);
    }
  }
  return by_body;
}

}  // namespace

Vec find_free_fall(const Context& context) {
  std::vector<Flight> all;
  all_flights(context, all);
  return all.size() < 3 ? Vec{} : common_acceleration(all);
}

Verdict test_gravity(const Context& context) {
  Verdict out;
  test_fluid_rise(context, out);
  std::vector<Flight> all;
  const std::vector<std::vector<Flight>> by_body = all_flights(context, all);
  if (all.size() < 3) return out;
  const Vec usual = common_acceleration(all);
  Size near = 0;
  for (const Flight& f : all) near += length(f.acceleration - usual) < limit(f, usual);
  if (near * 10 < all.size() * 3) return out;  // no acceleration that things have in common
  out.applies = true;
  double sigma = 0;
  for (const Flight& f : all) sigma += f.sigma;
  sigma /= static_cast<double>(all.size());
  const double squared = context.tracks->fps * context.tracks->fps;
  out.measured.push_back({"acceleration_x", usual.x * squared, sigma * squared, "px/s2"});
  out.measured.push_back({"acceleration_y", usual.y * squared, sigma * squared, "px/s2"});
  for (Size b = 0; b < by_body.size(); ++b) test_constancy(by_body[b], usual, context.paths[b], out);
  // Nothing falls upwards.
  for (const auto& mine : by_body) {
    std::vector<double> rise;
    for (const Flight& f : mine) {
      const double up = -f.acceleration.y / std::max(5 * f.sigma, 0.03);
      if (up > 0.6 && !f.bent) {
        rise.push_back(up);
      } else {
        rise.clear();
      }
      if (rise.size() == 3) {
        const Path& path = context.paths[static_cast<Size>(f.body)];
        out.add(std::max(0, f.first - 2), f.first + kWindow, median(rise), {path.track->id},
                say("body %d falls upwards", path.track->id));
      }
    }
  }
  return out;
}

}  // namespace orrery::laws
