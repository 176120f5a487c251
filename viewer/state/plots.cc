#include "viewer/state/plots.h"

#include <algorithm>
#include <cmath>

namespace orrery::viewer {

namespace {

constexpr int kTracked = 0, kTruth = 1, kThird = 2;

struct Window {
  std::int64_t first = 0, last = 0;  // frames, both included
  double fps = 24;
};

// The track that plots are about: the picked one, else the largest and longest seen one that moves (specks that come
// and go in a model's pictures go a long way too).
int subject(const Session& session, const Judgement& found) {
  const auto& tracks = found.tracks.tracks;
  if (session.shown.picked >= 0 && session.shown.picked < static_cast<int>(tracks.size())) return session.shown.picked;
  int best = -1;
  double most = 0;
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    const auto seen = std::count_if(tracks[i].frames.begin(), tracks[i].frames.end(),
                                    [](const Observation& one) { return one.visible; });
    const double radius = tracks[i].radius(), weight = static_cast<double>(seen) * radius * radius;
    if (tracks[i].moves && weight > most) most = weight, best = static_cast<int>(i);
  }
  return best;
}

void add(Series& series, double time, double value) {
  series.time.push_back(static_cast<float>(time));
  series.value.push_back(static_cast<float>(value));
}

// Speeds are differences over two frames, so that they belong to the frame between.
void add_speed(Series& speed, const Series& x, const Series& y, double aspect_free) {
  for (std::size_t i = 1; i + 1 < x.time.size(); ++i) {
    const double seconds = static_cast<double>(x.time[i + 1] - x.time[i - 1]);
    if (seconds <= 0) continue;
    add(speed, static_cast<double>(x.time[i]),
        aspect_free * std::hypot(x.value[i + 1] - x.value[i - 1], y.value[i + 1] - y.value[i - 1]) / seconds);
  }
}

void add_tracked(const Judgement& found, int which, const Window& window, Series& x, Series& y) {
  if (which < 0) return;
  const Track& track = found.tracks.tracks[static_cast<std::size_t>(which)];
  for (std::int64_t frame = window.first; frame <= window.last; ++frame) {
    const std::int64_t i = frame - found.first;
    if (i < 0 || i >= static_cast<std::int64_t>(track.frames.size())) continue;
    const Observation& seen = track.frames[static_cast<std::size_t>(i)];
    if (!seen.visible) continue;
    const double time = static_cast<double>(frame) / window.fps;
    add(x, time, seen.x / found.tracks.height);
    add(y, time, 1 - seen.y / found.tracks.height);
  }
}

// The engine's body nearest to where the track is, or to where the person pointed.
std::size_t body_near(const worlds::FrameTruth& state, double x, double y, double height) {
  std::size_t best = 0;
  double nearest = 1e9;
  for (std::size_t i = 0; i < state.bodies.size(); ++i) {
    const double distance =
        std::hypot(state.bodies[i].position.x / height - x, state.bodies[i].position.y / height - y);
    if (distance < nearest) nearest = distance, best = i;
  }
  return best;
}

struct TruthCurves {
  Series x, y, kinetic, potential, total, momentum_x, momentum_y;
};

TruthCurves truth_curves(const Session& session, const Window& window, const Series& track_x, const Series& track_y) {
  TruthCurves out;
  const LiveRun* run = session.live_run();
  const double height = session.world().metres_per_pixel * session.world().height;
  if (run == nullptr || height <= 0) return out;
  // Where the track was seen last, the engine's body is looked for.
  const std::int64_t when = track_x.time.empty() ? session.playhead().frame()
                                                 : std::llround(static_cast<double>(track_x.time.back()) * window.fps);
  const worlds::FrameTruth now = run->state(-1, when);
  const double aspect = static_cast<double>(session.world().width) / std::max(1, session.world().height);
  const std::size_t body =
      body_near(now, track_x.value.empty() ? session.shown.target_u * aspect : track_x.value.back(),
                track_y.value.empty() ? 1 - session.shown.target_v : track_y.value.back(), height);
  for (std::int64_t frame = window.first; frame <= window.last; ++frame) {
    const worlds::FrameTruth state = run->state(-1, frame);
    const double time = static_cast<double>(frame) / window.fps;
    if (body < state.bodies.size()) {
      add(out.x, time, state.bodies[body].position.x / height);
      add(out.y, time, state.bodies[body].position.y / height);
    }
    if (state.bodies.empty() && state.extra.empty()) continue;
    add(out.kinetic, time, state.kinetic);
    add(out.potential, time, state.potential);
    add(out.total, time, state.energy());
    add(out.momentum_x, time, state.momentum.x);
    add(out.momentum_y, time, state.momentum.y);
  }
  return out;
}

Series named(Series series, const char* name, int colour) {
  series.name = name, series.colour = colour;
  series.reference = series.name == "engine";
  return series;
}

}  // namespace

std::vector<Plot> plots_of(const Session& session, double seconds) {
  std::vector<Plot> plots;
  if (!session.watching()) return plots;
  const ReelInfo info = session.info();
  Window window;
  window.fps = info.fps;
  const auto span = static_cast<std::int64_t>(seconds * info.fps);
  window.last = std::min(info.frames - 1, std::max(session.playhead().frame(), info.first + span));
  window.first = std::max(info.first, window.last - span);
  Series x, y, speed, true_speed;
  if (const auto found = session.judgement()) add_tracked(*found, subject(session, *found), window, x, y);
  add_speed(speed, x, y, 1);
  const TruthCurves truth = truth_curves(session, window, x, y);
  add_speed(true_speed, truth.x, truth.y, 1);
  const auto add_plot = [&plots](const char* title, const char* unit, std::vector<Series> series) {
    std::erase_if(series, [](const Series& one) { return one.time.size() < 2; });
    if (!series.empty()) plots.push_back({title, unit, std::move(series)});
  };
  add_plot("height", "of the picture", {named(truth.y, "engine", kTruth), named(y, "tracked", kTracked)});
  add_plot("across", "of the height", {named(truth.x, "engine", kTruth), named(x, "tracked", kTracked)});
  add_plot("speed", "heights a second", {named(true_speed, "engine", kTruth), named(speed, "tracked", kTracked)});
  add_plot("energy", "J",
           {named(truth.kinetic, "kinetic", kTracked), named(truth.potential, "potential", kTruth),
            named(truth.total, "total", kThird)});
  add_plot("momentum", "kg m/s", {named(truth.momentum_x, "across", kTracked), named(truth.momentum_y, "up", kTruth)});
  return plots;
}

}  // namespace orrery::viewer
