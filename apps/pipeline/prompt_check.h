// Does a clip show what its sentence says? By tracking it, and by the rules of the five ball scenes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "physics_eval/track/track.h"
#include "physics_eval/worlds/world.h"

namespace orrery::pipeline {

/// What a held-out sentence promises: the scene's own bodies and the words that name a direction.
struct Promise {
  std::string scene, caption;
  /// Colour words of the bodies, sorted.
  std::vector<std::string> colours;
  /// Whether the sentence names them all: "two balls collide" leaves them to the model.
  bool colours_said = true;
  /// -1: to the left, 1: to the right, 0: the sentence does not say.
  int direction = 0;
  /// Whether motion_shown() knows the scene.
  bool motion_known = false;
};

Promise promise_of(const worlds::World& world, const std::string& caption);

/// What tracking found of it.
struct PromiseKept {
  /// The colours of the clip's bodies are those promised.
  bool colour = false;
  /// Share of frames in which as many bodies are seen as promised.
  double count_frames = 0;
  /// All frames have the right count.
  bool count = false;
  /// The kind of motion and its direction.
  bool motion = false;
  /// Something still moves in the clip's second 8 (frames of [8 s, 9 s)); false for shorter clips.
  bool moves_late = false;
};

/// What the tracker sees in a clip's frames [begin, end): whether late frames still look like the engine's.
struct Sighted {
  double bodies = 0;  ///< seen a frame
  double radius = 0;  ///< of those seen, per cent of the picture's height; NaN: none seen
  double speed = 0;   ///< of those seen in two frames on end, per cent of the picture's height a second; NaN: none
};
Sighted sighted(const Tracks& tracks, std::size_t begin, std::size_t end);

/// Whether the bodies move as one of the five ball scenes does ("bounce", "throw", "roll", "collide", "pendulum") and,
/// where `direction` is not 0, one of them that way first. False for other scenes.
bool motion_shown(const std::string& scene, int direction, const Tracks& tracks);
/// Whether a body moves by half a pixel of 64 rows or more in frames [begin, end).
bool something_moves(const Tracks& tracks, int begin, int end);

PromiseKept check_promise(const Promise& promise, const Tracks& tracks);

}  // namespace orrery::pipeline
