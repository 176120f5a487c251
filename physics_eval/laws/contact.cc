// What happens at contacts: bounces give back no more than they got, and bodies stay out of each other and of walls.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/collision.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

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

namespace {

// Walls and floors are level or upright in most pictures; else the push is the normal.
Vec normal_of(const Event& event) {
  Vec normal = event.push;
  if (std::abs(normal.x) < 0.35) normal = {0, normal.y > 0 ? 1.0 : -1.0};
  if (std::abs(normal.y) < 0.35) normal = {normal.x > 0 ? 1.0 : -1.0, 0};
  return normal;
}

struct Bounce {
  int body = 0, frame = 0;
  Vec normal;
  double in = 0, restitution = 0, error = 0;
};

// One body, one kind of surface: what comes faster may leave with a smaller share of its speed, but not by much, and
// never with a much greater one than when it came slowly.
void test_constancy(const Context& context, const std::vector<Bounce>& bounces, Verdict& out) {
  for (const Bounce& a : bounces) {
    for (const Bounce& b : bounces) {
      if (a.body != b.body || dot(a.normal, b.normal) < 0.9 || a.in < b.in) continue;
      const double drop = b.restitution - a.restitution;
      const int id = context.paths[static_cast<Size>(a.body)].track->id;
      out.add(a.frame, a.frame, drop / (0.3 + 3 * std::hypot(a.error, b.error)), {id},
              say("body %d leaves with %.2f of its speed, and with %.2f when it comes slower", id, a.restitution,
                  b.restitution));
    }
  }
}

}  // namespace

Verdict test_bounce(const Context& context) {
  Verdict out;
  std::vector<double> restitutions;
  std::vector<Bounce> bounces;
  for (const Event& event : context.events) {
    if (event.jump || !event.on_solid || event.other >= 0 || event.frame + 2 > context.frames) continue;
    const Vec normal = normal_of(event);
    const bool round = context.paths[static_cast<Size>(event.body)].round;
    const Sides sides = sides_of(context, event, round && normal.y == 0);
    if (!sides.ok || (!sides.known && event.frame + 4 > context.frames) || company(context, event)) continue;
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
    const bool ball = round && (normal.x == 0 || normal.y == 0);
    const double gain = (ball ? e - 1 : std::min(e - 1, 3 * (faster - 1))) * (sides.apart || sides.known ? 1 : 0.4);
    const int id = context.paths[static_cast<Size>(event.body)].track->id;
    out.add(event.frame, event.frame, std::max(0.0, gain) / (0.08 + 3 * error), {id},
            say("body %d bounces back %.2f times as fast as it came", id, e));
    if (ball && sides.apart) bounces.push_back({event.body, event.frame, normal, in, e, error});
  }
  test_constancy(context, bounces, out);
  if (!restitutions.empty()) out.measured.push_back({"restitution", median(restitutions), 0.02, ""});
  return out;
}

namespace {

// Share of a disc of that radius beyond a straight border that it crosses by `depth`.
double sunk_share(double radius, double depth) {
  const double angle = 2 * std::acos(std::clamp(1 - depth / radius, -1.0, 1.0));
  return (angle - std::sin(angle)) / 6.283185307179586;
}

// Of a disc that the body is sure to fill: a ball's, or half as wide as a box is thin. 0 where what is seen is no
// whole.
double inner_radius(const Path& path, int frame) {
  if (round_body(path, frame)) return path.radius;
  const Observation& o = path.track->frames[static_cast<Size>(frame)];
  if (o.merged || o.cut || o.area < 40 || 6.2831853 * (o.xx + o.yy) > 1.12 * o.area) return 0;
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  return std::min(0.9 * path.radius, std::sqrt(3 * std::max(0.0, half - spread)));
}

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
    const int first = path.track->first();
    const double at_first = context.solids.overlap(path.at[static_cast<Size>(first)], inner_radius(path, first) * 0.96);
    int begin = -1;
    double worst = 0;
    for (int t = 0; t <= context.frames; ++t) {
      const bool seen = t < context.frames && path.seen[static_cast<Size>(t)];
      const double inner = seen && !fluid ? inner_radius(path, t) : 0;
      const double deep = inner > 0 ? context.solids.overlap(path.at[static_cast<Size>(t)], inner * 0.96) : 0;
      if (deep > sunk_share(path.radius, context.solids.surface()) + 1.5 * at_first) {
        if (begin < 0) begin = t;
        worst = std::max(worst, deep);
      } else if (begin >= 0) {
        out.add(begin, t - 1, worst / sunk_share(path.radius, 2 * context.solids.surface()), {path.track->id},
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
  test_crowd_overlap(context, out);
  return out;
}

}  // namespace orrery::laws
