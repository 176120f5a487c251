// Balls that are seen in part, cut by the picture's border or behind others: the outline that shows says where they
// are.
#pragma once

#include <optional>
#include <vector>

#include "physics_eval/track/background.h"
#include "physics_eval/track/regions.h"
#include "physics_eval/track/track.h"

namespace orrery::tracking {

/// The radius of a track that is a ball in most of the frames that show it whole (at least four); 0 for anything else.
double ball_radius(const Track& track);

struct BallCentre {
  double x = 0, y = 0;
  /// Standard error of a coordinate, pixels.
  double sigma = 0;
  /// Something else adjoins what is visible.
  bool beside = false;
};

/// The centre of a ball of known radius of which `runs` are visible. Only the outline against the bare background
/// counts. nullopt where that is too short to tell, or does not look like the ball's.
std::optional<BallCentre> complete_ball(const std::vector<Run>& runs, const Frame& frame, const Background& background,
                                        double radius);

}  // namespace orrery::tracking
