// What happens at contacts: bounces give back no more than they got, collisions keep momentum, and bodies stay out of
// each other and of walls.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Frames of undisturbed motion next to an event: up to six on either side, not past the neighbouring events.
struct Sides {
  Fit before, after;
  bool ok = false;
  /// No other event for some frames.
  bool apart = true;
};

// In free flight, where everybody's acceleration is known, place and velocity alone are left to fit.
Fit falling_fit(const Context& context, const Path& path, int first, int last, double origin) {
  Fit fit;
  if (context.steady_frames < 12) return fit;
  Path flat = path;
  const Vec half = context.free_fall * 0.5;
  for (int t = std::max(0, first); t <= std::min(last, path.frames() - 1); ++t)
    flat.at[static_cast<Size>(t)] = path.at[static_cast<Size>(t)] - half * ((t - origin) * (t - origin));
  fit = fit_path(flat, first, last, 1, origin);
  if (!fit.ok || fit.rms > std::max(0.12, 3 * path.noise)) return {};
  fit.coefficient.push_back(half);
  return fit;
}

Sides sides_of(const Context& context, const Event& event) {
  Sides out;
  int first = event.frame - 7, last = event.frame + 7;
  for (const Event& other : context.events) {
    if (other.body != event.body || &other == &event) continue;
    if (other.frame < event.frame) first = std::max(first, other.frame + 1);
    if (other.frame > event.frame) last = std::min(last, other.frame - 2);
    out.apart = out.apart && std::abs(other.frame - event.frame) > 4;
  }
  const Path& path = context.paths[static_cast<Size>(event.body)];
  const auto side = [&](int from, int to) {
    const Fit known = falling_fit(context, path, from, to, event.frame - 0.5);
    if (known.ok) return known;
    const Fit square = fit_path(path, from, to, 2, event.frame - 0.5);
    return square.ok ? square : fit_path(path, from, to, 1, event.frame - 0.5);
  };
  out.before = side(first, event.frame - 1);
  out.after = side(event.frame + 1, last);
  if (!out.after.ok) out.after = side(event.frame, last);
  out.ok = out.before.ok && out.after.ok;
  return out;
}

// Moment in [frame − 2, frame + 1] at which the two paths meet along `normal`.
double meeting_time(const Sides& sides, int frame, Vec normal) {
  double best = frame - 0.5, least = 1e18;
  for (double t = frame - 2; t <= frame + 1.001; t += 0.05) {
    const double gap = std::abs(dot(sides.before.at(t) - sides.after.at(t), normal));
    if (gap < least) least = gap, best = t;
  }
  return best;
}

// Another body takes part.
bool company(const Context& context, const Event& event) {
  const Path& path = context.paths[static_cast<Size>(event.body)];
  for (Size j = 0; j < context.paths.size(); ++j) {
    for (int t = std::max(0, event.frame - 3);
         static_cast<int>(j) != event.body && t <= std::min(context.frames - 1, event.frame + 3); ++t) {
      if (touching(path, context.paths[j], t, 3)) return true;
    }
  }
  return false;
}

}  // namespace

Verdict test_bounce(const Context& context) {
  Verdict out;
  std::vector<double> restitutions;
  for (const Event& event : context.events) {
    if (event.jump || !event.on_solid || event.other >= 0 || event.frame + 4 > context.frames) continue;
    const Sides sides = sides_of(context, event);
    if (!sides.ok || company(context, event)) continue;
    // Walls and floors are level or upright in most pictures; else the push is the normal.
    Vec normal = event.push;
    if (std::abs(normal.x) < 0.35) normal = {0, normal.y > 0 ? 1.0 : -1.0};
    if (std::abs(normal.y) < 0.35) normal = {normal.x > 0 ? 1.0 : -1.0, 0};
    const double t = meeting_time(sides, event.frame, normal);
    const double in = -dot(sides.before.velocity(t), normal), back = dot(sides.after.velocity(t), normal);
    const double sigma = 1.5 * std::hypot(sides.before.sigma[1], sides.after.sigma[1]) + 0.02;
    if (in < 0.5 || in < 5 * sigma) continue;
    out.applies = true;
    const double e = back / in, error = sigma * std::hypot(1.0, e) / in;
    restitutions.push_back(e);
    // Spin can come out along the normal, and a second bounce soon after confuses the fits; neither makes it faster.
    const double faster = length(sides.after.velocity(t)) / std::max(1e-9, length(sides.before.velocity(t)));
    // A ball's push along the normal passes through its centre: no spin comes out of it there.
    const bool ball = context.paths[static_cast<Size>(event.body)].round && (normal.x == 0 || normal.y == 0);
    const double gain = (ball ? e - 1 : std::min(e - 1, 3 * (faster - 1))) * (sides.apart ? 1 : 0.4);
    const int id = context.paths[static_cast<Size>(event.body)].track->id;
    out.add(event.frame, event.frame, std::max(0.0, gain) / (0.08 + 3 * error), {id},
            say("body %d bounces back %.2f times as fast as it came", id, e));
  }
  if (!restitutions.empty()) out.measured.push_back({"restitution", median(restitutions), 0.02, ""});
  return out;
}

namespace {

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

// Share of a disc of that radius beyond a straight border that it crosses by `depth`.
double sunk_share(double radius, double depth) {
  const double angle = 2 * std::acos(std::clamp(1 - depth / radius, -1.0, 1.0));
  return (angle - std::sin(angle)) / 6.283185307179586;
}

// Where a fixed thing begins is known to about a pixel.
constexpr double kSurface = 1.3;

}  // namespace

Verdict test_interpenetration(const Context& context) {
  Verdict out;
  // With a fluid about, what lies still of it may have become part of the background.
  const bool fluid =
      std::any_of(context.paths.begin(), context.paths.end(), [&](const Path& p) { return p.fluid >= 0; });
  for (Size a = 0; a < context.paths.size(); ++a) {
    const Path& path = context.paths[a];
    if (!path.moves() || path.count < 4 || path.attached) continue;
    out.applies = true;
    const double at_first = context.solids.overlap(path.at[static_cast<Size>(path.track->first())], path.radius * 0.96);
    int begin = -1;
    double worst = 0;
    for (int t = 0; t <= context.frames; ++t) {
      const bool seen = t < context.frames && path.seen[static_cast<Size>(t)];
      const double deep = seen && !fluid && round_body(path, t)
                              ? context.solids.overlap(path.at[static_cast<Size>(t)], path.radius * 0.96)
                              : 0;
      if (deep > sunk_share(path.radius, kSurface) + 1.5 * at_first) {
        if (begin < 0) begin = t;
        worst = std::max(worst, deep);
      } else if (begin >= 0) {
        out.add(begin, t - 1, worst / sunk_share(path.radius, 2 * kSurface), {path.track->id},
                say("body %d sinks into a fixed thing (%.0f%% of it)", path.track->id, 100 * worst));
        begin = -1, worst = 0;
      }
    }
    for (Size b = a + 1; b < context.paths.size(); ++b) {
      const Path& other = context.paths[b];
      if (!other.rigid || other.attached) continue;
      double deepest = 0;
      int frame = -1;
      for (int t = 0; t < context.frames; ++t) {
        if (!path.seen[static_cast<Size>(t)] || !other.seen[static_cast<Size>(t)]) continue;
        if (!round_body(path, t) || !round_body(other, t)) continue;
        const double depth =
            path.radius + other.radius - length(path.at[static_cast<Size>(t)] - other.at[static_cast<Size>(t)]);
        const double share = (depth - 0.8) / std::min(path.radius, other.radius);
        if (share > 0.15 && frame < 0) frame = t;
        deepest = std::max(deepest, share);
      }
      if (frame >= 0)
        out.add(frame, frame + 3, deepest / 0.3, {path.track->id, other.track->id},
                say("bodies %d and %d pass into each other", path.track->id, other.track->id));
    }
  }
  return out;
}

}  // namespace orrery::laws
