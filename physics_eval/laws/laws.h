// Which laws a clip's motion keeps and which it breaks: tracks in, one physics score out, with evidence.
// How the score is composed and calibrated is in docs/physics-score.md.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/track/track.h"

namespace orrery {

/// A measured quantity with its standard error.
struct Measured {
  std::string name;
  double value = 0, sigma = 0;
  std::string unit;
};

/// One law over one clip.
struct LawResult {
  std::string law;
  /// Something in the clip could have broken it.
  bool applies = false;
  /// How far past what noise and lawful motion show, 1 at the border; 0 when nothing was found.
  double severity = 0;
  /// 1: kept; 0.5: at the border; 0: certainly broken.
  double score = 1;
  bool violated = false;
  /// First frame of the worst violation; -1 without one.
  int frame = -1;
  /// Bodies concerned (track ids) and a line of what was seen.
  std::vector<int> bodies;
  std::string evidence;
  std::vector<Measured> measured;
};

struct PhysicsScore {
  /// 1: nothing against physics found; 0: certain violation. NaN when no law applies; then `reason` says why.
  double score = 0;
  /// Where the score of nine in ten other renderings of the same motion (noise, a codec, another size) lies.
  double low = 0, high = 1;
  bool violated = false;
  /// Frame with the lowest score; -1 when all are 1.
  int worst_frame = -1;
  /// A score a frame.
  std::vector<double> frames;
  std::vector<LawResult> laws;
  int tracks = 0;
  std::string reason;
};

struct LawOptions {
  /// Names of the laws to test; empty: all that the evidence calls for. See law_names().
  std::vector<std::string> only;
};

/// The laws' names, in the order of the report.
const std::vector<std::string>& law_names();

/// Scores tracked motion. Deterministic. Throws InputError for an unknown name in `options.only`.
PhysicsScore score_physics(const Tracks& tracks, const LawOptions& options = {});

}  // namespace orrery
