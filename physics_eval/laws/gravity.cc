// Constant acceleration: whatever flies freely does so with one and the same acceleration, downwards in the picture;
// what rolls down a slope keeps its own. Two bodies that fall from rest: t₁²/t₂² = h₁/h₂ (arXiv 2512.02016).
#include <algorithm>
#include <cmath>
#include <utility>

#include "physics_eval/laws/flight.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// A break that noise does not explain, in a stretch that one acceleration does not explain. 1: at the border.
double break_severity(const Flight& flight) {
  if (flight.break_frame < 0 || flight.bent) return 0;
  const double size = std::max(length(flight.acceleration), length(flight.change));
  return length(flight.change) / std::max({9 * flight.change_sigma, 0.2 * size, 0.04});
}

bool broken(const Flight& flight) { return break_severity(flight) > 0.8; }

// The acceleration that most frames share: the weighted mean of the largest group that agrees within its noise.
Vec common_acceleration(const std::vector<Flight>& all, int& agreeing) {
  Vec best;
  agreeing = 0;
  for (const Flight& centre : all) {
    if (centre.bent || broken(centre)) continue;
    Vec sum;
    double weight = 0;
    int frames = 0;
    for (const Flight& f : all) {
      if (f.bent || broken(f) || length(f.acceleration - centre.acceleration) > allowance(f, centre.acceleration))
        continue;
      const double w = 1 / (f.sigma * f.sigma);
      sum = sum + f.acceleration * w, weight += w, frames += f.frames();
    }
    if (frames > agreeing) agreeing = frames, best = sum * (1 / weight);
  }
  return best;
}

int straight_frames(const std::vector<Flight>& all) {
  int out = 0;
  for (const Flight& f : all) out += f.bent || broken(f) ? 0 : f.frames();
  return out;
}

// Goes along at one height.
bool level(const Context& context, const Flight& flight) {
  const Path& path = context.paths[static_cast<Size>(flight.body)];
  double low = 1e9, high = -1e9;
  for (int t = flight.first; t <= flight.last; ++t) {
    const Size i = static_cast<Size>(t);
    if (path.clean[i]) low = std::min(low, path.at[i].y), high = std::max(high, path.at[i].y);
  }
  return high - low < std::max(0.25, 5 * path.noise);
}

// Flights of bodies that do not bend all the time, as on an orbit that shows no centre.
std::vector<Flight> judged_flights(const Context& context) {
  std::vector<Flight> out;
  std::vector<int> bent(context.paths.size(), 0), all(context.paths.size(), 0);
  const std::vector<Flight> flights = find_flights(context);
  for (const Flight& f : flights) {
    all[static_cast<Size>(f.body)] += f.frames();
    if (f.bent) bent[static_cast<Size>(f.body)] += f.frames();
  }
  // Where things fall, what goes along at one height is borne, whether by what shows that or not.
  const bool falls = std::any_of(flights.begin(), flights.end(), [&](const Flight& f) {
    return !f.bent && !broken(f) && f.acceleration.y > std::max(0.04, 8 * f.sigma) && !level(context, f);
  });
  for (const Flight& f : flights) {
    if (falls && level(context, f)) continue;
    if (bent[static_cast<Size>(f.body)] * 10 <= all[static_cast<Size>(f.body)] * 6) out.push_back(f);
  }
  return out;
}

void test_breaks(const Context& context, const std::vector<Flight>& flights, Verdict& out) {
  for (const Flight& f : flights) {
    const double severity = break_severity(f);
    if (severity < 0.3) continue;
    const int id = context.paths[static_cast<Size>(f.body)].track->id;
    out.add(f.break_frame, f.last, severity, {id},
            say("body %d: its acceleration changes by %.2f px a frame squared in flight", id, length(f.change)));
  }
}

// Where a flight with another acceleration than the usual one breaks the law: where it begins, or, when all usual ones
// come after it, where those begin.
int odd_frame(const Flight& odd, const std::vector<Flight>& flights, Vec usual) {
  int first_usual = 1 << 20;
  for (const Flight& f : flights) {
    if (!f.bent && !broken(f) && length(f.acceleration - usual) <= allowance(f, usual))
      first_usual = std::min(first_usual, f.first);
  }
  return first_usual < (1 << 20) && first_usual > odd.first ? std::max(first_usual, odd.last + 1) : odd.first;
}

void test_sameness(const Context& context, const std::vector<Flight>& flights, Vec usual, Verdict& out) {
  for (const Flight& f : flights) {
    if (f.bent || broken(f)) continue;
    const int id = context.paths[static_cast<Size>(f.body)].track->id;
    const double limit = std::max({8 * f.sigma, 0.22 * length(usual), 0.035});
    const int frame = odd_frame(f, flights, usual);
    out.add(frame, std::max(frame, f.last), length(f.acceleration - usual) / limit, {id},
            say("body %d falls with another acceleration than the others or before", id));
    const double up = -f.acceleration.y / std::max(6 * f.sigma, 0.04);
    if (up > 0.6) out.add(f.first, f.last, up, {id}, say("body %d falls upwards", id));
  }
}

// A body that rolls or slides along a straight slope.
struct Slide {
  int body = 0, first = 0, last = 0;
  Vec along;
};

bool supported(const Context& context, const Path& path, int frame) {
  for (int k = 0; k < 16; ++k) {
    const Vec way{std::cos(k * 0.39269908), std::sin(k * 0.39269908)};
    if (way.y > -0.1 && context.solids.gap(path.at[static_cast<Size>(frame)], path.radius, way, 2.0) < 1.6) return true;
  }
  return false;
}

std::vector<Slide> find_slides(const Context& context) {
  std::vector<Slide> out;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    if (!path.moves() || path.fluid >= 0) continue;  // the edge of a slope may pass for a rod: attached or not
    const auto pushed = [&](int t) {
      return std::any_of(context.events.begin(), context.events.end(),
                         [&](const Event& event) { return event.body == static_cast<int>(b) && event.frame == t; });
    };
    const auto usable = [&](int t) {
      if (t >= context.frames || !path.clean[static_cast<Size>(t)] || !supported(context, path, t)) return false;
      for (Size j = 0; j < context.paths.size(); ++j) {
        if (j != b && touching(path, context.paths[j], t, 2)) return false;
      }
      return true;
    };
    for (int first = 0; first < context.frames; ++first) {
      if (!usable(first)) continue;
      // As far as the way is straight and level ground is not reached.
      int last = first;
      while (usable(last + 1) && !pushed(last + 1)) ++last;
      for (; last - first >= 11; --last) {
        const Vec way = path.at[static_cast<Size>(last)] - path.at[static_cast<Size>(first)];
        if (length(way) < 4) break;
        const Vec along = way * (1 / length(way));
        double off = 0;
        for (int t = first; t <= last; ++t) {
          const Vec d = path.at[static_cast<Size>(t)] - path.at[static_cast<Size>(first)];
          off = std::max(off, std::abs(d.x * along.y - d.y * along.x));
        }
        if (off > std::max(0.25, 4 * path.noise)) continue;
        if (std::abs(along.y) > 0.08 && std::abs(along.y) < 0.9)
          out.push_back({static_cast<int>(b), first, last, along});
        break;
      }
      first = std::max(first, last);
    }
  }
  return out;
}

// Down a slope the acceleration is steady; friction that ends (it rolls at last) can only take from a braking.
void test_slides(const Context& context, Verdict& out) {
  for (const Slide& slide : find_slides(context)) {
    const Path& path = context.paths[static_cast<Size>(slide.body)];
    out.applies = true;
    double least = 1e18, change = 0, across = 0, sigma = 0, before = 0;
    int frame = -1;
    for (int f = slide.first + 4; f <= slide.last - 4; ++f) {
      const Regression r = regress(path, slide.first, slide.last, 4, [&](int t, std::array<double, 6>& row) {
        const double tau = t - slide.first, after = std::max(0, t - f);
        row = {1, tau, tau * tau / 2, after * after / 2, 0, 0};
      });
      if (!r.ok || r.square >= least) continue;
      least = r.square, frame = f;
      change = dot(r.coefficient[3], slide.along);
      across = r.coefficient[3].x * slide.along.y - r.coefficient[3].y * slide.along.x;
      sigma = r.unit_sigma[3] * path.noise;
      before = dot(r.coefficient[2], slide.along);
    }
    if (frame < 0 || std::abs(across) > 0.25 * std::abs(change)) continue;  // where the slope ends the way bends
    const double limit = std::max({9 * sigma, 0.35 * std::max(std::abs(before), std::abs(before + change)), 0.015});
    const int id = path.track->id;
    out.add(frame, slide.last, std::abs(change) / limit, {id},
            say("body %d: its acceleration along the slope changes from %.3f to %.3f px a frame squared", id, before,
                before + change));
  }
}

// What went along on the ground, borne by it, and later flies straight on and upwards: nothing pulls it down any more.
void test_lifted(const Context& context, const std::vector<Flight>& flights, Verdict& out) {
  for (const Flight& f : flights) {
    const Path& path = context.paths[static_cast<Size>(f.body)];
    const double weakest = 4e-4 * context.tracks->height * (24 / context.tracks->fps) * (24 / context.tracks->fps);
    if (f.bent || broken(f) || f.frames() < 7 || length(f.acceleration) > 0.25 * weakest + 4 * f.sigma) continue;
    const Vec way = path.at[static_cast<Size>(f.last)] - path.at[static_cast<Size>(f.first)];
    if (way.y > -1) continue;
    int borne = 0;
    double low = 1e9, high = -1e9, left = 1e9, right = -1e9;
    for (int t = 0; t < f.first && borne < 10; ++t) {
      const Size i = static_cast<Size>(t);
      if (!path.clean[i] || context.solids.gap(path.at[i], path.radius, {0, 1}, 2) > 1.6) {
        borne = 0, low = left = 1e9, high = right = -1e9;
        continue;
      }
      ++borne;
      low = std::min(low, path.at[i].y), high = std::max(high, path.at[i].y);
      left = std::min(left, path.at[i].x), right = std::max(right, path.at[i].x);
    }
    if (borne < 10 || right - left < 4 || high - low > 0.5) continue;
    out.applies = true;
    out.add(f.first, f.last, std::min(3.0, 0.5 * weakest * f.frames() * f.frames()), {path.track->id},
            say("body %d leaves the ground and does not fall", path.track->id));
  }
}

}  // namespace

Vec find_free_fall(const Context& context, int& frames) { return common_acceleration(judged_flights(context), frames); }

namespace {

double most_severe(const Verdict& verdict) {
  double out = 0;
  for (const Finding& finding : verdict.findings) out = std::max(out, finding.severity);
  return out;
}

}  // namespace

Verdict test_gravity(const Context& context) {
  Verdict out;
  test_fluid_rise(context, out);
  test_crowd_rise(context, out);
  test_slides(context, out);
  const std::vector<Flight> flights = judged_flights(context);
  test_breaks(context, flights, out);
  test_lifted(context, find_flights(context), out);
  int agreeing = 0;
  const Vec usual = common_acceleration(flights, agreeing);
  const int straight = straight_frames(flights);
  if (straight < 5) return out;
  if (agreeing * 10 < straight * 3) return out;  // no acceleration that things have in common
  out.applies = true;
  double sigma = 0;
  for (const Flight& f : flights) sigma += f.sigma / static_cast<double>(flights.size());
  const double squared = context.tracks->fps * context.tracks->fps;
  out.measured.push_back({"acceleration_x", usual.x * squared, sigma * squared, "px/s2"});
  out.measured.push_back({"acceleration_y", usual.y * squared, sigma * squared, "px/s2"});
  test_sameness(context, flights, usual, out);
  // Where gravity is broken already, bodies that fall differently say so once more.
  if (most_severe(out) > 1) {
    for (Finding& finding : test_gravity_ratio(context).findings) out.findings.push_back(std::move(finding));
  }
  return out;
}

namespace {

// A fall from rest onto something: where the upright speed was 0 and where the fall ended.
struct Drop {
  int id = 0, frame = 0;
  double height = 0, time = 0, error = 0;  // error: of ln(t²/h)
};

std::vector<Drop> find_drops(const Context& context) {
  std::vector<Drop> out;
  for (const Flight& f : judged_flights(context)) {
    const Path& path = context.paths[static_cast<Size>(f.body)];
    if (f.bent || broken(f) || f.acceleration.y < 10 * f.sigma || f.acceleration.y < 0.03) continue;
    const Fit fit = fit_path(path, f.first, f.last, 2, f.first);
    // The top of its flight lies in the stretch, or just before it where it was let go.
    const double top = -fit.coefficient[1].y / (2 * fit.coefficient[2].y);
    if (!fit.ok || top < -2 || top > f.frames() - 5) continue;
    const double time = f.last - f.first - top, height = fit.at(f.last).y - fit.at(f.first + top).y;
    if (height < 5) continue;
    const double error = std::hypot(1.5 * path.noise / height, f.sigma / f.acceleration.y);
    out.push_back({path.track->id, f.first, height, time, error});
  }
  return out;
}

}  // namespace

Verdict test_gravity_ratio(const Context& context) {
  Verdict out;
  const std::vector<Drop> drops = find_drops(context);
  bool first = true;
  for (Size i = 0; i < drops.size(); ++i) {
    for (Size j = i + 1; j < drops.size(); ++j) {
      const Drop &a = drops[i], &b = drops[j];
      if (a.id == b.id) continue;
      const double ratio = (a.time * a.time / a.height) / (b.time * b.time / b.height);
      const double error = std::hypot(a.error, b.error);
      out.applies = true;
      if (first) out.measured.push_back({"gravity_ratio", ratio, ratio * error, ""});
      first = false;
      out.add(std::max(a.frame, b.frame), std::max(a.frame, b.frame) + 6,
              std::abs(std::log(ratio)) / (0.15 + 5 * error), {a.id, b.id},
              say("bodies %d and %d fall differently: (t1/t2)^2 is %.2f times h1/h2", a.id, b.id, ratio));
    }
  }
  return out;
}

}  // namespace orrery::laws
