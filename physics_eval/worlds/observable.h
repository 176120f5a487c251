// Whether what a corrupted twin breaks can be told from its picture by someone who does not know the lawful original:
// from the simulated truth alone. docs/physics-score.md says the criterion in words.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "physics_eval/worlds/annotations.h"

namespace orrery::worlds {

/// A twin and its lawful original, frame by frame.
struct TwinTruth {
  std::string_view kind;
  /// First frame of the break.
  int frame = 1;
  std::span<const FrameTruth> lawful, twin;
  std::span<const BodyInfo> bodies;
  Vec2 gravity;
  double fps = 24, metres_per_pixel = 1;
};

/// False where values that nothing tells (a restitution, a friction, a gravity that nothing fell by) make the same
/// motion lawful to `pixels`:
/// - sudden-stop, reversed-time: no velocity changes by half of that a frame but those of bodies that just then meet
///   something, and (a stop) nothing that would have moved by more within a third of a second is held;
/// - frozen: within a third of a second no body would have moved by more than that;
/// - gravity-doubled in water, which bears weight whatever gravity is, unless a body falls freely before and after.
/// True for all other kinds, and for what water does by itself.
bool shows_itself(const TwinTruth& truth, double pixels);

}  // namespace orrery::worlds
