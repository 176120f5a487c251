// Collisions: they keep momentum, make no energy, and push both bodies.
#include "physics_eval/laws/collision.h"

#include <algorithm>
#include <cmath>

namespace orrery::laws {

namespace {

using Size = std::size_t;

// The line through the only two clean frames. A frame before them says that no push lies between them: one in the
// clip's first step shows in no second difference.
Fit through_two(const Path& path, int first, int last, double origin) {
  Fit fit;
  int frames[2] = {0, 0}, count = 0;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t) {
    if (!path.clean[static_cast<Size>(t)]) continue;
    if (count == 2) return fit;
    frames[count++] = t;
  }
  if (count < 2 || frames[0] < 1 || !path.clean[static_cast<Size>(frames[0]) - 1]) return fit;
  const Vec a = path.at[static_cast<Size>(frames[0])], b = path.at[static_cast<Size>(frames[1])];
  const double span = frames[1] - frames[0];
  const Vec velocity = (b - a) * (1 / span);
  fit.origin = origin;
  fit.coefficient = {a + velocity * (origin - frames[0]), velocity};
  fit.sigma = {path.noise * (1 + std::abs(origin - frames[0]) / span), path.noise * std::sqrt(2.0) / span};
  fit.ok = true;
  return fit;
}

// In free flight, where everybody's acceleration is known, place and velocity alone are left to fit.
Fit falling_fit(const Context& context, const Path& path, int first, int last, double origin) {
  Fit fit;
  if (context.steady_frames < 12) return fit;
  Path flat = path;
  const Vec half = context.free_fall * 0.5;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t)
    flat.at[static_cast<Size>(t)] = path.at[static_cast<Size>(t)] - half * ((t - origin) * (t - origin));
  fit = fit_path(flat, first, last, 1, origin);
  if (!fit.ok) fit = through_two(flat, first, last, origin);
  if (!fit.ok || fit.rms > std::max(0.12, 3 * path.noise)) return {};
  fit.coefficient.push_back(half);
  return fit;
}

// A steady motion across the picture, whatever it does upright.
Fit sideways_fit(const Path& path, int first, int last, double origin) {
  Path flat = path;
  for (Vec& at : flat.at) at.y = 0;
  Fit fit = fit_path(flat, first, last, 1, origin);
  if (!fit.ok) fit = through_two(flat, first, last, origin);
  if (fit.rms > std::max(0.1, 3 * path.noise)) fit.ok = false;
  return fit;
}

}  // namespace

Sides sides_of(const Context& context, const Event& event, bool sideways) {
  Sides out;
  int first = event.frame - 7, last = event.frame + 7;
  for (const Event& other : context.events) {
    if (other.body != event.body || &other == &event) continue;
    if (sideways && std::abs(other.change.x) < 0.1 * std::abs(event.change.x)) continue;
    if (other.frame < event.frame) first = std::max(first, other.frame + 1);
    if (other.frame > event.frame) last = std::min(last, other.frame - 2);
    out.apart = out.apart && std::abs(other.frame - event.frame) > 4;
  }
  const Path& path = context.paths[static_cast<Size>(event.body)];
  int falling = 0;
  const auto side = [&](int from, int to) {
    if (sideways) {
      const Fit steady = sideways_fit(path, from, to, event.frame - 0.5);
      falling += steady.ok;
      if (steady.ok) return steady;
    }
    const Fit known = falling_fit(context, path, from, to, event.frame - 0.5);
    falling += known.ok;
    if (known.ok) return known;
    const Fit square = fit_path(path, from, to, 2, event.frame - 0.5);
    return square.ok ? square : fit_path(path, from, to, 1, event.frame - 0.5);
  };
  out.before = side(first, event.frame - 1);
  out.after = side(event.frame + 1, last);
  if (!out.after.ok) out.after = side(event.frame, last);
  out.ok = out.before.ok && out.after.ok;
  out.known = out.ok && falling == 2;
  return out;
}

const Event* event_of(const Context& context, int body, int frame) {
  const Event* best = nullptr;
  for (const Event& event : context.events) {
    if (event.body != body || event.jump || std::abs(event.frame - frame) > 1) continue;
    if (!best || std::abs(event.frame - frame) < std::abs(best->frame - frame)) best = &event;
  }
  return best;
}

// About as long as wide, so that a push through its centre does not turn it.
bool round_body(const Path& path, int frame) {
  const int t = std::clamp(frame, 0, path.frames() - 1);
  const Observation& o = path.track->frames[static_cast<Size>(t)];
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  return half + spread < 1.35 * (half - spread) &&
         std::abs(6.2831853 * (o.xx + o.yy) / std::max(1.0, o.area) - 1) < 0.035;
}

// All bodies that touch `body` or one another around the frame.
std::vector<Size> cluster_of(const Context& context, Size body, int frame) {
  std::vector<Size> members{body};
  for (Size i = 0; i < members.size(); ++i) {
    for (Size j = 0; j < context.paths.size(); ++j) {
      if (std::find(members.begin(), members.end(), j) != members.end()) continue;
      // At few frames a second they may meet and part between two of them.
      const bool met = std::any_of(context.events.begin(), context.events.end(), [&](const Event& e) {
        const int a = static_cast<int>(members[i]), b = static_cast<int>(j);
        return std::abs(e.frame - frame) <= 1 && ((e.body == a && e.other == b) || (e.body == b && e.other == a));
      });
      if (met) {
        members.push_back(j);
        continue;
      }
      for (int t = std::max(0, frame - 2); t <= std::min(context.frames - 1, frame + 1); ++t) {
        if (touching(context.paths[members[i]], context.paths[j], t, 2.5)) {
          members.push_back(j);
          break;
        }
      }
    }
  }
  std::sort(members.begin(), members.end());
  return members;
}

namespace {

// Energy of a body's motion in the common fall and in how fast it may spin, over its mass.
double energy(const Context& context, const Fit& fit, double frame) {
  const Vec v = fit.velocity(frame);
  return 0.5 * dot(v, v) - dot(context.free_fall, fit.at(frame));
}

// A ball that rolled or rubbed may spin as fast as it went along what it rolled on: half the energy of that motion.
// What never met anything but a level floor did so sideways only.
double spin(const Context& context, int body, int frame) {
  const Path& path = context.paths[static_cast<Size>(body)];
  bool turned = path.attached;
  for (const Event& event : context.events)
    turned = turned ||
             (event.body == body && event.frame < frame - 1 && (event.other >= 0 || std::abs(event.push.x) > 0.35));
  double fastest = 0;
  for (int t = 1; t < std::min(frame, path.frames()); ++t) {
    const Size i = static_cast<Size>(t);
    if (!path.clean[i] || !path.clean[i - 1]) continue;
    const Vec step = path.at[i] - path.at[i - 1];
    fastest = std::max(fastest, turned ? length(step) : std::abs(step.x));
  }
  return 0.25 * fastest * fastest;
}

// Whatever took part besides, fixed things give no energy: after the collision there is no more than before.
void test_energy(const Context& context, const Event& event, const std::vector<Size>& members, Verdict& out) {
  double before = 0, spare = 0, gain = 0, error = 0, least = 1e18;
  std::vector<int> ids;
  for (const Size m : members) {
    const Path& path = context.paths[m];
    const Event* mine = event_of(context, static_cast<int>(m), event.frame);
    if (!mine) return;
    const Sides sides = sides_of(context, *mine);
    const double rough = std::max(0.15, 4 * path.noise);
    if (!sides.ok || sides.before.rms > rough || sides.after.rms > rough) return;
    const double middle = event.frame - 0.5, mass = path.track->area;
    const Vec in = sides.before.velocity(middle), back = sides.after.velocity(middle);
    before += mass * 0.5 * dot(in, in);
    gain += mass * (energy(context, sides.after, middle) - energy(context, sides.before, middle));
    spare += mass * spin(context, static_cast<int>(m), event.frame);
    error += mass * std::hypot(length(in) * sides.before.sigma[1], length(back) * sides.after.sigma[1]);
    least = std::min(least, mass);
    ids.push_back(path.track->id);
  }
  // Slow bodies' energies are within a pixel's error.
  const double base = before + spare;
  out.add(event.frame, event.frame, (gain - spare) / (0.1 * base + 4 * error + 0.1 * least), ids,
          say("a collision adds %.0f%% to the energy", 100 * gain / std::max(1e-9, before)));
}

}  // namespace

Verdict test_momentum(const Context& context) {
  Verdict out;
  std::vector<char> done(context.events.size(), 0);
  for (Size i = 0; i < context.events.size(); ++i) {
    const Event& event = context.events[i];
    if (event.jump || event.other < 0 || done[i] || event.frame + 3 > context.frames) continue;
    const std::vector<Size> members = cluster_of(context, static_cast<Size>(event.body), event.frame);
    if (members.size() < 2) continue;
    int pushed = 0;
    bool judged = true;
    for (const Size m : members) {
      pushed += event_of(context, static_cast<int>(m), event.frame) != nullptr;
      judged =
          judged && !near_line(context.paths[m], std::min(event.frame, context.frames - 1), context.tracks->lines, 2.5);
      judged = judged && context.paths[m].rigid && !context.paths[m].attached && !context.swings[m] &&
               round_body(context.paths[m], event.frame);
    }
    if (judged) test_energy(context, event, members, out);
    if (!judged || pushed < 2) continue;  // a hand on the scales: rods, water, boxes that turn, or no partner
    Vec sum, before;
    double total = 0, error = 0;
    bool clear = true, floor = false;
    std::vector<int> ids;
    for (const Size m : members) {
      const Path& path = context.paths[m];
      const double mass = path.track->area;
      ids.push_back(path.track->id);
      for (int k = 0; k < 8; ++k) {
        const Vec way{std::cos(k * 0.7853981634), std::sin(k * 0.7853981634)};
        for (int t = event.frame - 1; t <= event.frame; ++t) {
          if (t < 0 || t >= context.frames || !path.seen[static_cast<Size>(t)]) continue;
          const bool near = context.solids.gap(path.at[static_cast<Size>(t)], path.radius, way, 3.0) < 2.5;
          // The floor bears what lies on it and keeps what is along it, but for friction.
          if (near && std::abs(way.x) < 0.8 && way.y > 0) {
            floor = true;
          } else {
            clear = clear && !near;
          }
        }
      }
      const Event* mine = event_of(context, static_cast<int>(m), event.frame);
      if (!mine) {
        error += mass * 0.1;
        for (const Event& other : context.events)
          clear = clear && (other.body != static_cast<int>(m) || std::abs(other.frame - event.frame) > 4);
        continue;
      }
      for (Size k = 0; k < context.events.size(); ++k) done[k] = done[k] || &context.events[k] == mine;
      const Sides sides = sides_of(context, *mine);
      clear = clear && sides.apart;  // another push soon before or after would count here
      const double middle = event.frame - 0.5;
      if (sides.ok) before = before + sides.before.velocity(middle) * mass;
      const Vec change = sides.ok ? sides.after.velocity(middle) - sides.before.velocity(middle) : mine->change;
      sum = sum + change * mass;
      total += mass * length(change);
      error += mass * (sides.ok ? 2 * std::hypot(sides.before.sigma[1], sides.after.sigma[1]) : 2 * mine->sigma);
    }
    if (!clear || total <= 0) continue;  // a wall took part
    if (floor) sum.y = 0, error += 0.06 * total;
    if (!out.applies && pushed == static_cast<int>(members.size())) {
      // Of the first collision; masses are areas, one density is taken for all.
      const double fps = context.tracks->fps;
      out.measured.push_back({"momentum_x", before.x * fps, error * fps, "px3/s"});
      out.measured.push_back({"momentum_y", before.y * fps, error * fps, "px3/s"});
    }
    out.applies = true;
    // Each change counts half: what one gains the other loses.
    out.add(event.frame, event.frame, length(sum) / (0.22 * total + 3 * error), ids,
            say("a collision changes the momentum by %.0f%%", 200 * length(sum) / total));
  }
  return out;
}

namespace {

// What stands right behind it in that direction takes the push.
bool backed(const Context& context, const Path& path, int frame, Vec way) {
  for (int t = std::max(0, frame - 2); t <= std::min(context.frames - 1, frame + 1); ++t) {
    if (!path.seen[static_cast<Size>(t)]) continue;
    for (const double turn : {-0.8, -0.4, 0.0, 0.4, 0.8}) {
      const double c = std::cos(turn), s = std::sin(turn);
      const Vec there{c * way.x - s * way.y, s * way.x + c * way.y};
      if (context.solids.gap(path.at[static_cast<Size>(t)], path.radius, there, 3.0) < 2.5) return true;
    }
  }
  return false;
}

// Seen whole from three frames before to three after, and what it does is its own.
bool open_to_pushes(const Context& context, Size body, int frame) {
  const Path& path = context.paths[body];
  if (!path.rigid || !path.round || path.attached || path.fluid >= 0 || context.swings[body] || context.orbits[body])
    return false;
  if (frame < 3 || frame + 3 >= context.frames) return false;
  for (int t = frame - 3; t <= frame + 3; ++t) {
    if (!path.clean[static_cast<Size>(t)] || near_line(path, t, context.tracks->lines, 2.5)) return false;
  }
  return true;
}

}  // namespace

void test_third_law(const Context& context, Verdict& out) {
  for (const Event& event : context.events) {
    if (event.jump || event.on_solid || event.on_line || event.other < 0) continue;
    const Size body = static_cast<Size>(event.body), other = static_cast<Size>(event.other);
    if (!open_to_pushes(context, body, event.frame) || !open_to_pushes(context, other, event.frame)) continue;
    if (cluster_of(context, body, event.frame).size() > 2) continue;
    const Path &path = context.paths[body], &partner = context.paths[other];
    if (event_of(context, event.other, event.frame) || backed(context, partner, event.frame, event.push * -1)) continue;
    // Its own event two frames away may be this one, unless that belongs to an earlier push.
    const bool two = std::any_of(context.events.begin(), context.events.end(), [&](const Event& e) {
      return e.body == event.other && std::abs(e.frame - event.frame) == 2 && !event_of(context, event.body, e.frame);
    });
    if (two) continue;
    const double expected = length(event.change) * std::min(1.0, path.track->area / std::max(1.0, partner.track->area));
    // A change too small for an event of its own, among others that come soon.
    Event answer = event;
    answer.body = event.other, answer.other = event.body;
    const Sides sides = sides_of(context, answer);
    const double middle = event.frame - 0.5;
    if (sides.ok && dot(sides.after.velocity(middle) - sides.before.velocity(middle), event.push * -1) > 0.3 * expected)
      continue;
    out.add(event.frame, event.frame, expected / std::max(0.6, 14 * event.sigma), {path.track->id},
            say("body %d changes its velocity by %.2f px a frame, body %d beside it does not", path.track->id,
                length(event.change), partner.track->id));
  }
}

}  // namespace orrery::laws
