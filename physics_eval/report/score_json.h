// Scores as JSON, fields as docs/cli.md lists them. The same scores give the same bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/metrics/image.h"
#include "physics_eval/metrics/trajectory.h"

namespace orrery {

/// One clip that was scored; `score.reason` says why it could not be.
struct ScoredClip {
  std::string file;
  PhysicsScore score;
  /// Against a reference's or the annotations' bodies, when there is one.
  std::optional<TrajectoryScores> against{};
};

/// A file that was not scored, and why.
struct LeftOut {
  std::string file, reason;
};

/// A number of six significant digits; null for what is not finite.
Json rounded_number(double value);

/// {"schema": 1, "clips": […], "left_out": […]}.
Json physics_json(const std::vector<ScoredClip>& clips, const std::vector<LeftOut>& left_out);
/// {"psnr", "ssim", "frames": [{"psnr", "ssim"}]}.
Json frames_json(const FrameScores& scores);
/// A table for a terminal: a line a clip, its worst law and what was seen; then what was left out.
std::string physics_table(const std::vector<ScoredClip>& clips, const std::vector<LeftOut>& left_out);

}  // namespace orrery
