#include "physics_eval/laws/flight.h"

#include <algorithm>
#include <cmath>

#include "physics_eval/track/colour.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

constexpr int kShortest = 5, kSide = 3;

// A box whose sides are known: what is near it is known to a fraction of a pixel.
bool is_box(const Path& path, int frame) { return path.track->frames[static_cast<Size>(frame)].box_width > 0; }

bool near_solid(const Context& context, const Path& path, int frame) {
  for (int k = 0; k < 8; ++k) {
    const Vec way{std::cos(k * 0.7853981634), std::sin(k * 0.7853981634)};
    if (context.solids.gap(path.at[static_cast<Size>(frame)], extent(path, frame, way), way, 2.0) < 1.6) return true;
  }
  return false;
}

bool near_body(const Context& context, Size body, int frame) {
  for (Size j = 0; j < context.paths.size(); ++j) {
    const bool exact =
        is_box(context.paths[body], frame) && (is_box(context.paths[j], frame) || context.paths[j].round);
    if (j != body && touching(context.paths[body], context.paths[j], frame, exact ? 1.2 : 2.5)) return true;
  }
  return false;
}

tracking::Chroma medium(const Context& context, Vec place) {
  const Frame& picture = context.tracks->background;
  const int x = std::clamp(static_cast<int>(place.x), 0, picture.width() - 1),
            y = std::clamp(static_cast<int>(place.y), 0, picture.height() - 1);
  const std::uint8_t* pixel = picture.at(x, y);
  return tracking::chroma(pixel[0], pixel[1], pixel[2]);
}

// Whether the place is of a fluid's colour, or strongly coloured where the body's highest place is not: water at rest
// is part of the background, and what is in it is borne, not free.
bool immersed(const Context& context, const Path& path, Vec highest, int frame) {
  const tracking::Chroma here = medium(context, path.at[static_cast<Size>(frame)] + Vec{0, 0.5 * path.radius});
  if (here.u * here.u + here.v * here.v < 0.3 * 0.3) return false;
  if (tracking::chroma_distance2(here, medium(context, highest)) > 0.3 * 0.3) return true;
  return std::any_of(context.paths.begin(), context.paths.end(), [&](const Path& other) {
    return other.fluid >= 0 &&
           tracking::chroma_distance2(
               here, tracking::chroma(context.tracks->colours[static_cast<Size>(other.fluid)].colour)) < 0.35 * 0.35;
  });
}

Vec highest_place(const Path& path) {
  Vec best{0, 1e9};
  for (int t = 0; t < path.frames(); ++t) {
    if (path.clean[static_cast<Size>(t)] && path.at[static_cast<Size>(t)].y < best.y)
      best = path.at[static_cast<Size>(t)];
  }
  return best;
}

bool rests(const Path& path, int first, int last) {
  double far = 0;
  for (int t = first; t <= last; ++t)
    far = std::max(far, length(path.at[static_cast<Size>(t)] - path.at[static_cast<Size>(first)]));
  return far < std::max(0.15, 5 * path.noise);
}

// Stands still for so long that no flight's turning point would: something bears it, whether that shows or not.
bool stands(const Path& path, int first, int last) {
  constexpr int kLong = 9;
  for (int t = first; t + kLong - 1 <= last; ++t) {
    if (rests(path, t, t + kLong - 1)) return true;
  }
  return false;
}

void fit_break(const Path& path, Flight& flight) {
  const double origin = 0.5 * (flight.first + flight.last);
  double least = 1e18;
  for (int f = flight.first + kSide; f <= flight.last - kSide; ++f) {
    const Regression r = regress(path, flight.first, flight.last, 4, [&](int t, std::array<double, 6>& row) {
      const double tau = t - origin, after = std::max(0, t - f);
      row = {1, tau, tau * tau / 2, after * after / 2, 0, 0};
    });
    if (!r.ok || r.square >= least) continue;
    least = r.square;
    flight.break_frame = f;
    flight.change = r.coefficient[3], flight.change_sigma = r.unit_sigma[3] * path.noise;
    flight.break_rms = std::sqrt(r.square / (2 * r.count));
  }
}

bool fit_flight(const Path& path, Flight& flight) {
  const double origin = 0.5 * (flight.first + flight.last);
  const Regression r = regress(path, flight.first, flight.last, 3, [&](int t, std::array<double, 6>& row) {
    const double tau = t - origin;
    row = {1, tau, tau * tau / 2, 0, 0, 0};
  });
  if (!r.ok) return false;
  flight.acceleration = r.coefficient[2];
  flight.rms = std::sqrt(r.square / (2 * r.count));
  flight.sigma = r.unit_sigma[2] * std::max(path.noise, std::min(flight.rms, 4 * path.noise));
  if (flight.frames() >= 2 * kSide + 2) fit_break(path, flight);
  const double poor = std::max(0.12, 3.5 * path.noise);
  flight.bent = flight.rms > poor && (flight.break_frame < 0 || flight.break_rms > poor);
  return true;
}

}  // namespace

double allowance(const Flight& flight, Vec usual) { return std::max({6 * flight.sigma, 0.12 * length(usual), 0.025}); }

std::vector<Flight> find_flights(const Context& context) {
  std::vector<Flight> out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    if (!path.moves() || path.attached || context.swings[b] || context.orbits[b]) continue;
    const auto rod = [&](const Path& other) { return &other != &path && linked(path, other); };
    if (std::any_of(context.paths.begin(), context.paths.end(), rod)) continue;
    // The first frame that shows a new motion begins another stretch.
    std::vector<char> begins(static_cast<Size>(context.frames) + 1, 0);
    for (const Event& event : context.events) {
      if (event.body == static_cast<int>(b)) begins[static_cast<Size>(std::min(event.frame, context.frames))] = 1;
    }
    int first = -1;
    for (int t = 0; t <= context.frames; ++t) {
      const bool free = t < context.frames && context.free[b][static_cast<Size>(t)];
      if (first >= 0 && (!free || begins[static_cast<Size>(t)])) {
        Flight flight;
        flight.body = static_cast<int>(b), flight.first = first, flight.last = t - 1;
        if (flight.frames() >= kShortest && !rests(path, first, t - 1) && !stands(path, first, t - 1) &&
            fit_flight(path, flight))
          out.push_back(flight);
        first = -1;
      }
      if (free && first < 0) first = t;
    }
  }
  return out;
}

std::vector<std::vector<char>> find_free(const Context& context) {
  std::vector<std::vector<char>> out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    std::vector<char> mine(static_cast<Size>(context.frames), 0);
    const Vec highest = highest_place(path);
    for (int t = 0; t < context.frames; ++t) {
      mine[static_cast<Size>(t)] = path.clean[static_cast<Size>(t)] && !near_solid(context, path, t) &&
                                   !near_body(context, b, t) && !near_line(path, t, context.tracks->lines, 2.5) &&
                                   (context.tracks->background.empty() || !immersed(context, path, highest, t));
    }
    out.push_back(std::move(mine));
  }
  return out;
}

}  // namespace orrery::laws
