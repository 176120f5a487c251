// Inertia: motion changes only where something pushes. Time: motion does not run backwards.
#include <algorithm>
#include <array>
#include <cmath>

#include "physics_eval/laws/collision.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

constexpr int kStretch = 9;        // frames that shaking is looked for in
constexpr double kSettling = 0.5;  // pixels a frame, of bodies in a heap that comes to rest

// Largest distance of the path after `turn` from its mirror image before it, over up to `most` frames; negative when
// too short to tell. `travel`: how far the mirrored path goes.
double retrace_error(const Path& path, int turn, int most, double& travel) {
  double worst = 0;
  int steps = 0;
  travel = 0;
  for (int k = 1; k <= most && turn + k < path.frames() && turn - k >= 0; ++k) {
    const Size a = static_cast<Size>(turn + k), b = static_cast<Size>(turn - k);
    if (!path.clean[a] || !path.clean[b]) break;
    worst = std::max(worst, length(path.at[a] - path.at[b]));
    travel = std::max(travel, length(path.at[a] - path.at[static_cast<Size>(turn)]));
    ++steps;
  }
  return steps >= 4 ? worst : -1;
}

struct Turn {
  int frame = -1;
  double severity = 0;
};

// A frame at which all moving bodies turn round at once and go back along their own paths.
Turn find_turn(const Context& context) {
  Turn best;
  for (int f = 3; f + 4 < context.frames; ++f) {
    double travelled = 0, sharpest = 0;
    bool all = true;
    for (const Path& path : context.paths) {
      if (!path.moves()) continue;
      double travel = 0;
      const double error = retrace_error(path, f, 7, travel);
      if (error < 0) continue;
      if (error > std::max(0.25, 8 * path.noise)) {
        all = false;
        break;
      }
      travelled = std::max(travelled, travel);
      for (const Event& event : context.events) {
        if (!event.jump && &context.paths[static_cast<Size>(event.body)] == &path &&
            std::abs(event.frame - f - 1) <= 1) {
          // A floor can send it back up, not back along it.
          const double turned = !event.on_solid ? length(event.change)
                                : path.round    ? std::min(std::abs(event.change.x), std::abs(event.change.y))
                                                : 0;
          sharpest = std::max(sharpest, turned / std::max(0.6, 14 * event.sigma));
        }
      }
    }
    if (all && travelled > 2 && sharpest > best.severity) best = {f + 1, sharpest};
  }
  return best;
}

bool still_after(const Path& path, int frame) {
  int count = 0;
  for (int t = frame; t + 1 < std::min(path.frames(), frame + 6); ++t) {
    const Size i = static_cast<Size>(t);
    if (!path.seen[i] || !path.seen[i + 1]) continue;
    if (length(path.at[i + 1] - path.at[i]) > std::max(0.06, 4 * path.noise)) return false;
    ++count;
  }
  return count >= 2;
}

}  // namespace

namespace {

// A body that hangs still in the air, where bodies fell before.
void test_hanging(const Context& context, Verdict& out) {
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    const double g = length(context.free_fall);
    if (!path.moves() || context.swings[b] || path.attached || g < 0.04) continue;
    int still = 0;
    for (int t = 1; t < context.frames; ++t) {
      const Size i = static_cast<Size>(t);
      const bool hangs = context.free[b][i] && context.free[b][i - 1] &&
                         length(path.at[i] - path.at[i - 1]) < std::max(0.05, 3 * path.noise);
      still = hangs ? still + 1 : 0;
      // In so many frames it would have fallen by g n² / 2.
      if (still >= 5 && (t + 1 == context.frames || still == 12)) {
        out.add(t - still, t, std::min(3.0, 0.5 * g * still * still / std::max(0.8, 10 * path.noise)), {path.track->id},
                say("body %d hangs still in the air for %d frames", path.track->id, still));
      }
    }
  }
}

// Something long comes to lie on others or on the ground: that stops it at once.
bool landed(const Context& context, Size body, int frame) {
  const Path& path = context.paths[body];
  const Observation& o = path.track->frames[static_cast<Size>(frame)];
  if (!path.seen[static_cast<Size>(frame)] || 6.2831853 * (o.xx + o.yy) < 1.15 * o.area) return false;
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (j != body && touching(path, context.paths[j], frame, 2)) return true;
  }
  const Vec down{0, 1};
  if (context.solids.gap(path.at[static_cast<Size>(frame)], extent(path, frame, down), down, 3) < 2.5) return true;
  // … or comes down on one end of it.
  const double half = (o.xx + o.yy) / 2, spread = std::hypot((o.xx - o.yy) / 2, o.xy);
  const double angle = 0.5 * std::atan2(2 * o.xy, o.xx - o.yy), thick = std::sqrt(3 * std::max(0.1, half - spread));
  const double reach = std::sqrt(3 * (half + spread)) - thick;
  const Vec along{std::cos(angle) * reach, std::sin(angle) * reach};
  for (const double way : {-1.0, 1.0}) {
    if (context.solids.gap(path.at[static_cast<Size>(frame)] + along * way, thick, down, 3) < 2.5) return true;
  }
  return false;
}

// A body that others touch.
bool in_heap(const Context& context, Size body, int frame) {
  for (Size j = 0; j < context.paths.size(); ++j) {
    if (j != body && touching(context.paths[body], context.paths[j], frame, 1.5)) return true;
  }
  return false;
}

// From one frame on to the end nothing moves at all, though something was moving at speed.
void test_frozen(const Context& context, Verdict& out) {
  int last = 0;
  double speed = 0, faster = 0;
  for (int t = 1; t < context.frames; ++t) {
    double most = 0;
    for (const Path& path : context.paths) {
      const Size i = static_cast<Size>(t);
      if (path.seen[i] && path.seen[i - 1] && path.count > 4)
        most = std::max(most, length(path.at[i] - path.at[i - 1]) - 0.02 - 2 * path.noise);
    }
    if (most > 0) last = t, speed = most;
  }
  if (last + 5 >= context.frames || last < 3) return;
  std::vector<double> held;
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    const Size i = static_cast<Size>(last);
    if (!path.seen[i] || !path.seen[i - 1] || !path.seen[i - 2] || !path.seen[i + 1] || !path.seen[i + 3]) continue;
    const double before = std::min(length(path.at[i] - path.at[i - 1]), length(path.at[i - 1] - path.at[i - 2]));
    if (landed(context, b, last)) {
      held.push_back(before);
    } else {
      faster = std::max(faster, before - (in_heap(context, b, last) ? kSettling : 0));
    }
  }
  // What falls onto something comes to rest at once, but one after another.
  std::sort(held.begin(), held.end());
  if (held.size() > 1) faster = std::max(faster, held[held.size() - 2] - kSettling);
  out.add(last + 1, context.frames - 1, std::min(3.5, std::min(speed, faster) / 0.2), {},
          say("everything stands still from frame %d on", last + 1));
}

// How much the strong colours move or change from frame t − 1 to t: what flows, stirs.
std::vector<double> stirring(const Context& context) {
  std::vector<double> out(static_cast<Size>(context.frames), 0);
  for (const ColourArea& colour : context.tracks->colours) {
    for (Size t = 1; t < out.size() && t < colour.area.size(); ++t) {
      const double root = std::sqrt(std::min(colour.area[t], colour.area[t - 1]));
      out[t] += std::abs(colour.area[t] - colour.area[t - 1]) +
                root * (std::abs(colour.x[t] - colour.x[t - 1]) + std::abs(colour.y[t] - colour.y[t - 1]));
    }
  }
  return out;
}

// A fluid that stirs and from one frame on does not at all.
void test_frozen_fluid(const Context& context, Verdict& out) {
  if (std::none_of(context.paths.begin(), context.paths.end(), [](const Path& p) { return p.fluid >= 0; })) return;
  const std::vector<double> stir = stirring(context);
  int frame = context.frames;
  const double usual = median({stir.begin() + 1, stir.end()});
  while (frame > 1 && stir[static_cast<Size>(frame) - 1] < 0.05 * usual + 1) --frame;
  if (frame + 5 > context.frames || frame < 8) return;
  double before = 1e9;
  for (int t = frame - 4; t < frame; ++t) before = std::min(before, stir[static_cast<Size>(t)]);
  const double after = *std::max_element(stir.begin() + frame, stir.end());
  out.add(frame, context.frames - 1, std::min(3.5, before / (6 + 8 * after)), {},
          say("what flows stands still from frame %d on", frame));
}

// What flows has been moving as a whole and from one frame to the next does not: walls and floors take its speed bit by
// bit, as it comes to them.
void test_stopped_fluid(const Context& context, Verdict& out) {
  std::vector<char> flows(context.tracks->colours.size(), 0);
  for (const Path& path : context.paths) {
    if (path.fluid >= 0) flows[static_cast<Size>(path.fluid)] = 1;
  }
  const double picture = static_cast<double>(context.tracks->width) * context.tracks->height;
  for (Size c = 0; c < flows.size(); ++c) {
    const ColourArea& colour = context.tracks->colours[c];
    if (!flows[c] || median(colour.area) < 0.01 * picture) continue;
    const auto speed = [&](int t) {
      const Size i = static_cast<Size>(t);
      return std::hypot(colour.x[i] - colour.x[i - 1], colour.y[i] - colour.y[i - 1]);
    };
    for (int t = 5; t + 3 < context.frames; ++t) {
      const double before = std::min({speed(t - 3), speed(t - 2), speed(t - 1)}),
                   after = std::max(speed(t), speed(t + 1));
      if (after > 0.4 * before) continue;
      out.add(t, t + 1, std::min(3.5, (before - after) / 0.3), {}, "what flows stops at once");
    }
  }
}

// Frames from which a third difference sees a push by a wall or another body.
std::vector<char> bumps_of(const Context& context, Size body) {
  std::vector<char> out(static_cast<Size>(context.frames), 0);
  for (const Event& event : context.events) {
    if (event.body != static_cast<int>(body) || event.jump || (!event.on_solid && event.other < 0)) continue;
    for (int t = std::max(0, event.frame - 4); t <= std::min(context.frames - 1, event.frame + 1); ++t)
      out[static_cast<Size>(t)] = 1;
  }
  return out;
}

}  // namespace

Shaking find_shaking(const Context& context, std::size_t body) {
  const Path& path = context.paths[body];
  Shaking out;
  if (!path.moves()) return out;
  const std::vector<char> bumped = bumps_of(context, body);
  // Together with a neighbour of its colour it is larger, and elsewhere, for a frame or two.
  std::vector<double> areas;
  for (Size t = 0; t < path.at.size(); ++t) areas.push_back(path.track->frames[t].area);
  const auto itself = [&](Size t) {
    const double before = t > 2 ? areas[t - 3] : areas[t], after = t + 3 < areas.size() ? areas[t + 3] : areas[t];
    return path.clean[t] && areas[t] < 1.25 * std::max(before, after);
  };
  for (int first = 0; first + kStretch + 3 <= context.frames; ++first) {
    std::vector<double> size;
    // Pushed again and again within a few frames is shaken, whatever is near.
    const auto within = [&](const Event& e) {
      return e.body == static_cast<int>(body) && e.frame >= first && e.frame < first + kStretch + 3;
    };
    const bool always = std::count_if(context.events.begin(), context.events.end(), within) >= 4;
    for (int t = first; t < first + kStretch; ++t) {
      const Size i = static_cast<Size>(t);
      if (!itself(i) || !itself(i + 1) || !itself(i + 2) || !itself(i + 3) || (bumped[i] && !always)) continue;
      size.push_back(length(path.at[i + 3] - path.at[i + 2] * 3 + path.at[i + 1] * 3 - path.at[i]));
    }
    if (size.size() < 7) continue;
    const double here =
        median(std::move(size)) / std::max(0.03 * context.tracks->height, 4 * std::min(path.noise, 0.4));
    if (out.frame < 0 && here > 0.8) out.frame = first + kStretch / 2;
    out.severity = std::max(out.severity, here);
  }
  return out;
}

namespace {

// Meets a fixed thing about then: the change along its surface is no more than friction makes of the one across it. The
// surface lies where the thing is nearest, on two sides in a corner.
bool rubs(const Context& context, const Event& event) {
  const Path& path = context.paths[static_cast<Size>(event.body)];
  constexpr int kWays = 32;
  for (int t = std::max(0, event.frame - 2); t <= std::min(context.frames - 1, event.frame); ++t) {
    if (!path.seen[static_cast<Size>(t)]) continue;
    std::array<Vec, kWays> way;
    std::array<double, kWays> gap;
    for (Size k = 0; k < kWays; ++k) {
      const double angle = 0.19634954 * static_cast<double>(k);
      way[k] = {std::cos(angle), std::sin(angle)};
      gap[k] = context.solids.gap(path.at[static_cast<Size>(t)], path.radius, way[k], 2.0);
    }
    // Ways in a row in which it is near look at one surface; more than half of a ball's can see at two, in a corner.
    for (Size k = 0; k < kWays; ++k) {
      if (gap[k] > 1.3 || gap[(k + kWays - 1) % kWays] <= 1.3) continue;
      Vec normal;
      Size n = 0;
      for (; n < kWays && gap[(k + n) % kWays] <= 1.3; ++n)
        normal = normal + way[(k + n) % kWays] * (1.8 - gap[(k + n) % kWays]);
      if (n > 10) return true;
      normal = normal * (1 / length(normal));
      const double across = std::abs(dot(event.change, normal)),
                   along = std::abs(event.change.x * normal.y - event.change.y * normal.x);
      if (along <= 1.2 * across + 0.45) return true;
    }
  }
  return false;
}

// What it lies on bears it, and nothing is in its way: a push straight against its motion comes from neither, though
// the edge of a slope passes for a rod.
bool braked_by_nothing(const Context& context, const Event& event) {
  const Path& path = context.paths[static_cast<Size>(event.body)];
  const double speed = length(event.before);
  const int t = event.frame - 1;
  if (!event.on_line || event.on_solid || event.other >= 0 || path.fluid >= 0 || t < 0 || speed < 0.6 ||
      !path.seen[static_cast<Size>(t)])
    return false;
  // A plank that moves can stop what lies on it.
  const auto plank = [&](const Path& other) { return &other != &path && other.track->moves && !other.round; };
  if (std::any_of(context.paths.begin(), context.paths.end(), plank)) return false;
  const Vec along = event.before * (1 / speed);
  const double against = -dot(event.change, along),
               across = std::abs(event.change.x * along.y - event.change.y * along.x);
  if (against < 0.7 * speed || against > 1.3 * speed || across > 0.2 * against) return false;
  bool borne = false;
  for (int k = 0; k < 16; ++k) {
    const Vec way{std::cos(k * 0.39269908), std::sin(k * 0.39269908)};
    borne = borne || (way.y > 0.3 && context.solids.gap(path.at[static_cast<Size>(t)], path.radius, way, 3) < 2.5);
  }
  return borne && context.solids.gap(path.at[static_cast<Size>(t)], path.radius, along, 4 + 2 * speed) > 3 + speed;
}

// Shaking: third differences are large most of the time in some stretch, not only where something bumps.
void test_shaking(const Context& context, Verdict& out) {
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    const Shaking shaking = find_shaking(context, b);
    if (shaking.frame < 0) continue;
    out.add(shaking.frame, shaking.frame + kStretch, shaking.severity, {path.track->id},
            say("body %d is shaken", path.track->id));
  }
}

// A body at speed stands still from one frame to the next, with nothing in its way.
void test_stops(const Context& context, Verdict& out) {
  for (Size b = 0; b < context.paths.size(); ++b) {
    const Path& path = context.paths[b];
    if (!path.moves()) continue;
    for (int t = 2; t + 6 < context.frames; ++t) {
      const Size i = static_cast<Size>(t);
      if (!path.seen[i] || !path.seen[i - 1] || !path.seen[i - 2]) continue;
      // Parted from a neighbour that was taken for a part of it: its centre jumps, not it.
      const auto& seen = path.track->frames;
      if (std::max(seen[i - 1].area, seen[i - 2].area) > 1.25 * seen[i].area && !seen[i].cut) continue;
      const Vec step = path.at[i] - path.at[i - 1];
      if (length(step) < 0.2) continue;
      // Along its way it is at rest; a little across, as on landing, it may still move.
      const Vec along = step * (1 / length(step));
      bool still = true;
      for (Size k = 1; still && k <= 6; ++k) {
        const Vec moved = path.at[i + k] - path.at[i];
        still = path.seen[i + k] && std::abs(dot(moved, along)) < 0.1 &&
                std::abs(moved.x * along.y - moved.y * along.x) < 0.1 + 0.4 * length(step);
      }
      if (!still) continue;
      const double speed = std::min(length(step), length(path.at[i - 1] - path.at[i - 2]));
      if (speed < 0.2) continue;
      bool blocked = context.solids.gap(path.at[i], path.radius, step * (1 / length(step)), 2 + speed) < 1.5 + speed;
      blocked = blocked || path.track->frames[i].merged || path.track->frames[i + 1].merged ||
                near_line(path, path.attached ? -1 : t, context.tracks->lines, 2.5);
      // Balls that meet are one for a frame or two: who stood in its way shows just before or after.
      for (Size j = 0; j < context.paths.size(); ++j) {
        for (int k = std::max(0, t - 2); j != b && k <= std::min(context.frames - 1, t + 2); ++k) {
          blocked = blocked || (context.paths[j].seen[static_cast<Size>(k)] &&
                                surface_gap(path.at[i], context.paths[j], k) < path.radius + 2 + speed);
        }
      }
      if (blocked) continue;
      out.add(t, t, std::min(3.5, speed / 0.3), {path.track->id},
              say("body %d stops dead, nothing in its way", path.track->id));
      break;
    }
  }
}

// Width of the path across its longest direction, root mean square.
double breadth(const Path& path) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
  for (Size t = 0; t < path.at.size(); ++t) {
    if (!path.clean[t]) continue;
    n += 1, x += path.at[t].x, y += path.at[t].y;
    xx += path.at[t].x * path.at[t].x, xy += path.at[t].x * path.at[t].y, yy += path.at[t].y * path.at[t].y;
  }
  if (n < 3) return 0;
  xx = xx / n - x * x / (n * n), xy = xy / n - x * y / (n * n), yy = yy / n - y * y / (n * n);
  return std::sqrt(std::max(0.0, (xx + yy - std::hypot(xx - yy, 2 * xy)) / 2));
}

// A single body that swings on an arc loses or gains speed along its way, at right angles to what holds it. A spring
// pulls along the way.
bool along_its_way(const Context& context, const Event& event) {
  if (breadth(context.paths[static_cast<Size>(event.body)]) < 1) return false;
  int held = 0;
  for (const Path& path : context.paths) held += path.rigid && path.attached;
  const double speed = length(event.before);
  return held == 1 && speed > 1 && std::abs(dot(event.change, event.before)) > 0.9 * speed * length(event.change);
}

}  // namespace

Verdict test_inertia(const Context& context) {
  Verdict out;
  const Turn turn = find_turn(context);
  for (const Path& path : context.paths) out.applies = out.applies || (path.moves() && path.count >= 5);
  for (const Event& event : context.events) {
    const Path& path = context.paths[static_cast<Size>(event.body)];
    if (turn.severity > 1 && std::abs(event.frame - turn.frame) <= 1) continue;
    if (event.jump) {
      int jumps = 0;
      for (const Event& other : context.events)
        jumps += other.body == event.body && other.jump && std::abs(other.frame - event.frame) < 10;
      if (jumps > 2) {
        out.add(event.frame, event.frame, event.peak / std::max(0.8, 14 * event.sigma), {path.track->id},
                say("body %d is shaken by %.1f px", path.track->id, event.peak));
      }
      continue;
    }
    if (braked_by_nothing(context, event)) {
      out.add(event.frame, event.frame, length(event.change) / std::max(0.4, 10 * event.sigma), {path.track->id},
              say("body %d stops dead where it goes along", path.track->id));
      continue;
    }
    if (event.on_solid || event.on_line || event.other >= 0) continue;
    int around = 0;
    for (const Event& other : context.events)
      around +=
          other.body == event.body && !other.on_solid && other.other < 0 && std::abs(other.frame - event.frame) < 10;
    if (around > 3) {
      out.add(event.frame, event.frame, event.peak / std::max(0.8, 14 * event.sigma), {path.track->id},
              say("body %d is shaken by %.1f px", path.track->id, event.peak));
      continue;
    }
    const bool stops = still_after(path, event.frame);
    if (path.attached && !stops && !along_its_way(context, event)) continue;  // what holds it can pull
    if (!stops && length(event.change) < 2 && rubs(context, event)) continue;
    out.add(event.frame, event.frame,
            length(event.change) / std::max(stops ? 0.25 : 0.6, (stops ? 8 : 14) * event.sigma), {path.track->id},
            stops ? say("body %d stops dead, nothing touches it", path.track->id)
                  : say("body %d changes its velocity by %.2f px a frame, nothing touches it", path.track->id,
                        length(event.change)));
  }
  test_hanging(context, out);
  test_frozen(context, out);
  test_frozen_fluid(context, out);
  test_stopped_fluid(context, out);
  test_shaking(context, out);
  test_stops(context, out);
  test_third_law(context, out);
  return out;
}

namespace {

// A fluid whose area and place run through the same values backwards, though it was moving when it turned.
void test_fluid_turn(const Context& context, Verdict& out) {
  std::vector<char> flows(context.tracks->colours.size(), 0);
  for (const Path& path : context.paths) {
    if (path.fluid >= 0) flows[static_cast<Size>(path.fluid)] = 1;
  }
  for (Size c = 0; c < flows.size(); ++c) {
    if (!flows[c]) continue;
    const ColourArea& colour = context.tracks->colours[c];
    const int n = static_cast<int>(colour.area.size());
    for (int f = 7; f + 7 < n; ++f) {
      double error = 0, travel = 0;
      for (int k = 1; k <= 7; ++k) {
        const Size a = static_cast<Size>(f + k), b = static_cast<Size>(f - k), o = static_cast<Size>(f);
        const double root = std::sqrt(std::max(1.0, colour.area[o]));
        error = std::max(error, std::hypot(colour.x[a] - colour.x[b], colour.y[a] - colour.y[b]) +
                                    std::abs(colour.area[a] - colour.area[b]) / root);
        travel = std::max(travel, std::hypot(colour.x[a] - colour.x[o], colour.y[a] - colour.y[o]));
      }
      const Size o = static_cast<Size>(f);
      const double step = std::hypot(colour.x[o] - colour.x[o - 1], colour.y[o] - colour.y[o - 1]);
      if (travel < 1 || error > 0.1 * travel + 0.05) continue;
      out.add(f + 1, f + 1, std::min(3.5, step / 0.12), {}, "what flows goes back the way it came");
    }
  }
}

}  // namespace

Verdict test_time(const Context& context) {
  Verdict out;
  for (const Path& path : context.paths) out.applies = out.applies || (path.moves() && path.count >= 9);
  test_fluid_turn(context, out);
  const Turn turn = find_turn(context);
  if (turn.frame >= 0)
    out.add(turn.frame, turn.frame, turn.severity, {},
            say("everything goes back the way it came from frame %d on", turn.frame));
  return out;
}

}  // namespace orrery::laws
