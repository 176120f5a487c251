#include "physics_eval/metrics/trajectory.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "physics_eval/track/assign.h"

namespace orrery {

namespace {

using Size = std::size_t;

constexpr double kPi = 3.14159265358979323846;

double overlap_of_discs(double distance, double a, double b) {
  if (distance >= a + b) return 0;
  if (distance <= std::abs(a - b)) return kPi * std::min(a, b) * std::min(a, b);
  const double one = std::acos(std::clamp((distance * distance + a * a - b * b) / (2 * distance * a), -1.0, 1.0)),
               two = std::acos(std::clamp((distance * distance + b * b - a * a) / (2 * distance * b), -1.0, 1.0));
  return a * a * (one - std::sin(2 * one) / 2) + b * b * (two - std::sin(2 * two) / 2);
}

// Mean distance of a disc's points to another disc.
double one_way(double distance, double a, double b) {
  double sum = 0;
  int count = 0;
  constexpr int kSide = 32;
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      const double x = a * (2 * (i + 0.5) / kSide - 1), y = a * (2 * (j + 0.5) / kSide - 1);
      if (x * x + y * y > a * a) continue;
      sum += std::max(0.0, std::hypot(x - distance, y) - b);
      ++count;
    }
  }
  return sum / count;
}

struct Pair {
  BodyError error;
  double l2 = 0, chamfer = 0, iou = 0;
  int both = 0;
};

Pair compare(const Trajectory& body, const Trajectory& truth, int frames, double fps) {
  Pair out;
  int shown = 0, steps = 0;
  for (int t = 0; t < frames; ++t) {
    const Size i = static_cast<Size>(t);
    if (!truth.seen[i]) continue;
    ++shown;
    if (!body.seen[i]) continue;
    ++out.both;
    const double dx = body.x[i] - truth.x[i], dy = body.y[i] - truth.y[i], d = std::hypot(dx, dy);
    out.error.distance += d;
    out.l2 += (std::abs(dx) + std::abs(dy)) / 2 / std::sqrt(2.0);
    out.chamfer += (one_way(d, body.radius, truth.radius) + one_way(d, truth.radius, body.radius)) / std::sqrt(2.0);
    const double common = overlap_of_discs(d, body.radius, truth.radius);
    out.iou += common / (kPi * (body.radius * body.radius + truth.radius * truth.radius) - common);
    if (t == 0 || !body.seen[i - 1] || !truth.seen[i - 1]) continue;
    out.error.velocity +=
        fps * std::hypot(dx - (body.x[i - 1] - truth.x[i - 1]), dy - (body.y[i - 1] - truth.y[i - 1]));
    ++steps;
  }
  out.error.body = body.name, out.error.truth = truth.name;
  out.error.seen = shown ? static_cast<double>(out.both) / shown : 0;
  if (out.both) out.error.distance /= out.both, out.l2 /= out.both, out.chamfer /= out.both;
  if (shown) out.iou /= shown;
  if (steps) out.error.velocity /= steps;
  return out;
}

}  // namespace

Course course_of(const Tracks& tracks) {
  Course out;
  out.fps = tracks.fps;
  for (const Track& track : tracks.tracks) {
    out.frames = std::max(out.frames, static_cast<int>(track.frames.size()));
    if (!track.moves) continue;
    Trajectory body;
    body.name = std::to_string(track.id) + " " + track.colour_word;
    body.radius = track.radius() / tracks.height;
    for (const Observation& o : track.frames) {
      body.seen.push_back(o.visible && !o.cut);
      body.x.push_back(o.x / tracks.height), body.y.push_back(o.y / tracks.height);
    }
    out.bodies.push_back(std::move(body));
  }
  return out;
}

Course course_of(const worlds::Annotations& truth) {
  Course out;
  out.fps = truth.fps, out.frames = static_cast<int>(truth.frames.size());
  out.metres = truth.metres_per_pixel * truth.height;
  ORRERY_CHECK(out.metres > 0 && out.frames > 0, "[score physics] the annotations have no frames or no scale");
  for (const worlds::BodyInfo& info : truth.bodies) {
    if (info.shape == worlds::Shape::fluid) continue;
    Trajectory body;
    body.name = std::to_string(info.id) + " " + info.colour;
    const double area = info.shape == worlds::Shape::disc ? kPi * info.radius * info.radius : info.width * info.height;
    body.radius = std::sqrt(area / kPi) / out.metres;
    double low_x = 1e9, high_x = -1e9, low_y = 1e9, high_y = -1e9;
    for (const worlds::FrameTruth& frame : truth.frames) {
      const auto state = std::find_if(frame.bodies.begin(), frame.bodies.end(),
                                      [&](const worlds::BodyState& s) { return s.id == info.id; });
      const bool seen = state != frame.bodies.end() && state->visible > 0.95;
      body.seen.push_back(seen);
      body.x.push_back(seen ? state->position.x / out.metres : 0);
      body.y.push_back(seen ? 1 - state->position.y / out.metres : 0);
      if (!seen) continue;
      low_x = std::min(low_x, body.x.back()), high_x = std::max(high_x, body.x.back());
      low_y = std::min(low_y, body.y.back()), high_y = std::max(high_y, body.y.back());
    }
    if (std::hypot(high_x - low_x, high_y - low_y) > 0.01 && high_x >= low_x) out.bodies.push_back(std::move(body));
  }
  return out;
}

TrajectoryScores compare_courses(const Course& clip, const Course& truth) {
  ORRERY_CHECK(std::abs(clip.fps - truth.fps) <= 0.01 * truth.fps, "[score physics] the clip has ", clip.fps,
               " frames a second, its reference ", truth.fps);
  ORRERY_CHECK(!truth.bodies.empty(), "[score physics] the reference shows no body that moves");
  TrajectoryScores out;
  out.frames = std::min(clip.frames, truth.frames);
  std::vector<std::vector<double>> cost(truth.bodies.size(), std::vector<double>(clip.bodies.size(), 1.0));
  std::vector<std::vector<Pair>> pairs(truth.bodies.size());
  for (Size a = 0; a < truth.bodies.size(); ++a) {
    for (Size b = 0; b < clip.bodies.size(); ++b) {
      pairs[a].push_back(compare(clip.bodies[b], truth.bodies[a], out.frames, truth.fps));
      const Pair& pair = pairs[a].back();
      if (pair.both > 0) cost[a][b] = pair.error.distance + 0.2 * (1 - pair.error.seen);
    }
  }
  const std::vector<int> match = tracking::assign(cost, 0.999);
  for (Size a = 0; a < match.size(); ++a) {
    if (match[a] < 0) {
      ++out.missing;
      continue;
    }
    const Pair& pair = pairs[a][static_cast<Size>(match[a])];
    ++out.matched;
    out.bodies.push_back(pair.error);
    out.distance += pair.error.distance, out.velocity += pair.error.velocity;
    out.pisa_l2 += pair.l2, out.pisa_chamfer += pair.chamfer, out.pisa_iou += pair.iou;
  }
  out.extra = static_cast<int>(clip.bodies.size()) - out.matched;
  const double n = out.matched ? out.matched : std::numeric_limits<double>::quiet_NaN();
  out.distance /= n, out.velocity /= n, out.pisa_l2 /= n, out.pisa_chamfer /= n;
  out.pisa_iou /= static_cast<double>(truth.bodies.size());  // a body that is not there covers nothing
  const double metres = truth.metres > 0 ? truth.metres : std::numeric_limits<double>::quiet_NaN();
  out.distance_metres = out.distance * metres, out.velocity_metres = out.velocity * metres;
  return out;
}

}  // namespace orrery
