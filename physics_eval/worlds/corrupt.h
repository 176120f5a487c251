// Corrupted twins: clips in which one law is broken from a chosen frame on. A kind is either physics (the scene itself
// moves wrongly from then on) or view (states are changed before they are drawn, so any scene that draws from states
// can show it).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "physics_eval/worlds/annotations.h"
#include "physics_eval/worlds/parameters.h"

namespace orrery::worlds {

class Scene;
struct WorldSpec;

/// A row of the table of kinds.
struct CorruptionKind {
  std::string_view name;
  /// The law that it breaks, in a line.
  std::string_view law;
  /// Works on states alone, in every scene that draws from them.
  bool view;
};
std::span<const CorruptionKind> corruption_kinds();

/// What a WorldSpec asks for.
struct CorruptionSpec {
  std::string kind;
  /// The first frame at which the law is broken; ≥ 1.
  int frame = 12;
};

/// The kinds that a scene can show (with the parameters of `spec`), in the table's order.
std::vector<std::string> corruptions_of(const WorldSpec& spec);

/// Breaks a law in one running world. Owned by World.
class Corruptor {
 public:
  /// Throws InputError for an unknown kind or one that this scene cannot show.
  Corruptor(const CorruptionSpec& spec, Scene& scene, Random random);

  /// Called before the scene moves on to `frame`. False: the scene must not move (its state is replaced).
  bool before(int frame, Scene& scene);
  /// Called with the true state of `frame`; changes it as the kind says.
  void after(int frame, FrameTruth& truth);

 private:
  CorruptionSpec spec_;
  Random random_;
  bool by_scene_ = false;
  int body_ = 0;
  double amount_ = 1, noise_ = 0;
  Vec2 offset_;
  std::string colour_;
  std::vector<FrameTruth> history_;
};

/// Runs the twin and its lawful original for `frames` frames, without drawing, and compares: the labels a frame,
/// whether the twin departs from its original by more than the drawing's noise (kNoisePixels at the spec's size), and
/// whether that shows to who sees the twin alone. Throws InputError when the spec has no corruption.
CorruptionTruth judge_corruption(const WorldSpec& spec, int frames);
constexpr double kNoisePixels = 0.75;

}  // namespace orrery::worlds
