// What overlays draw of a judgement at one frame. Places are shares of the picture, v downwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "viewer/state/judge.h"

namespace orrery::viewer {

struct Share {
  double u = 0, v = 0;
};

/// One tracked body.
struct Trail {
  int id = 0;  ///< its place in the judgement's tracks
  std::string name;
  bool visible = false;
  Share now;
  /// As a share of the picture's height.
  double radius = 0;
  /// Where it was, oldest first, up to now.
  std::vector<Share> past;
  /// How far it goes in an eighth of a second, by a parabola fitted to the frames around; and that parabola.
  Share velocity;
  std::vector<Share> fitted;
};

/// The moving tracks at `frame` of the reel. Cheap enough for every drawn frame.
std::vector<Trail> trails_of(const Judgement& found, std::int64_t frame);

}  // namespace orrery::viewer
