#include "viewer/state/trails.h"

#include <algorithm>

#include "physics_eval/laws/motion.h"

namespace orrery::viewer {

namespace {

constexpr int kPast = 24;         // frames of trail
constexpr int kAround = 4;        // frames on each side that the fit sees
constexpr int kFitted = 12;       // frames of the fitted path before and after
constexpr double kArrow = 0.125;  // seconds

laws::Path path_of(const Track& track) {
  laws::Path path;
  path.track = &track;
  for (const Observation& seen : track.frames) {
    path.seen.push_back(static_cast<char>(seen.visible));
    path.clean.push_back(static_cast<char>(seen.visible && !seen.cut));
    path.at.push_back({seen.x, seen.y});
  }
  return path;
}

}  // namespace

std::vector<Trail> trails_of(const Judgement& found, std::int64_t frame) {
  std::vector<Trail> trails;
  const Tracks& tracks = found.tracks;
  const auto i = static_cast<int>(frame - found.first);
  for (std::size_t t = 0; t < tracks.tracks.size(); ++t) {
    const Track& track = tracks.tracks[t];
    const auto count = static_cast<int>(track.frames.size());
    if (!track.moves || i < 0 || i >= count) continue;
    const auto share = [&tracks](double x, double y) { return Share{x / tracks.width, y / tracks.height}; };
    Trail trail;
    trail.id = static_cast<int>(t), trail.name = track.colour_word;
    trail.radius = track.radius() / tracks.height;
    for (int k = std::max(0, i - kPast); k <= i; ++k) {
      const Observation& seen = track.frames[static_cast<std::size_t>(k)];
      if (seen.visible) trail.past.push_back(share(seen.x, seen.y));
    }
    const Observation& now = track.frames[static_cast<std::size_t>(i)];
    trail.visible = now.visible;
    trail.now = share(now.x, now.y);
    const laws::Fit fit =
        laws::fit_path(path_of(track), std::max(0, i - kAround), std::min(count - 1, i + kAround), 2, i);
    if (fit.ok && now.visible) {
      const laws::Vec speed = fit.velocity(i);
      const double frames = kArrow * tracks.fps;
      trail.velocity = share(speed.x * frames, speed.y * frames);
      for (int k = i - kFitted; k <= i + kFitted; ++k) trail.fitted.push_back(share(fit.at(k).x, fit.at(k).y));
    }
    trails.push_back(std::move(trail));
  }
  return trails;
}

}  // namespace orrery::viewer
