#include "physics_eval/track/residue.h"

#include <algorithm>
#include <cmath>

namespace orrery::tracking {

namespace {

constexpr std::size_t kLeastFrames = 24;
constexpr double kBodyContrast = 0.6;  ///< of the strongest body's: whatever has it is a body however short it shows

struct Presence {
  double share = 0;     ///< of the clip's frames
  double contrast = 0;  ///< mean distance from the background, grey levels
};

Presence presence_of(const Track& track, const Frame& background) {
  Presence presence;
  double seen = 0;
  for (const Observation& o : track.frames) {
    if (!o.visible) continue;
    const int x = std::clamp(static_cast<int>(o.x), 0, background.width() - 1),
              y = std::clamp(static_cast<int>(o.y), 0, background.height() - 1);
    const std::uint8_t* base = background.at(x, y);
    presence.contrast += std::hypot(o.colour.r - base[0], o.colour.g - base[1], o.colour.b - base[2]);
    seen += 1;
  }
  presence.share = seen / static_cast<double>(track.frames.size());
  presence.contrast /= std::max(1.0, seen);
  return presence;
}

// Whether the track stands where a rod is in the frames beside its own, in most of them.
bool on_a_rod(const Track& track, const std::vector<std::vector<LineRun>>& lines) {
  constexpr double kReach = 3;  // pixels: a centroid lies on its rod, and rods move a little from frame to frame
  const auto near = [&](const Observation& o, std::size_t frame) {
    return std::any_of(lines[frame].begin(), lines[frame].end(), [&](const LineRun& run) {
      const double x = std::clamp(o.x, static_cast<double>(run.x0), static_cast<double>(run.x1));
      return std::hypot(o.x - x, o.y - run.y - 0.5) <= kReach;
    });
  };
  int seen = 0, on = 0;
  for (std::size_t t = 0; t < track.frames.size(); ++t) {
    const Observation& o = track.frames[t];
    if (!o.visible) continue;
    ++seen;
    const bool before = t > 0 && !track.frames[t - 1].visible && near(o, t - 1);
    const bool after = t + 1 < track.frames.size() && !track.frames[t + 1].visible && near(o, t + 1);
    on += before || after ? 1 : 0;
  }
  return 2 * on > seen;
}

}  // namespace

void drop_residue(std::vector<Track>& tracks, const Frame& background, const std::vector<std::vector<LineRun>>& lines) {
  if (tracks.size() < 2 || tracks[0].frames.size() < kLeastFrames) return;
  std::vector<Presence> presences;
  double strongest = 0;
  for (const Track& track : tracks) {
    presences.push_back(presence_of(track, background));
    if (presences.back().share >= 0.5) strongest = std::max(strongest, presences.back().contrast);
  }
  std::size_t k = 0;
  std::erase_if(tracks, [&](const Track& track) {
    const Presence& presence = presences[k++];
    if (presence.share < 0.05 && on_a_rod(track, lines)) return true;
    return presence.share < 0.5 * (1 - presence.contrast / (kBodyContrast * strongest));
  });
}

}  // namespace orrery::tracking
