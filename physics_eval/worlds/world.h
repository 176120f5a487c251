// A world: a scene, a camera, actions and a clock. One World makes one clip, frame by frame.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "physics_eval/worlds/actions.h"
#include "physics_eval/worlds/annotations.h"
#include "physics_eval/worlds/corrupt.h"
#include "physics_eval/worlds/look.h"
#include "physics_eval/worlds/parameters.h"
#include "physics_eval/worlds/scene.h"
#include "video/frames/frame.h"

namespace orrery::worlds {

/// Everything that a clip follows from; equal specs give equal bytes on one instruction set.
struct WorldSpec {
  std::string scene = "bounce";
  std::uint64_t seed = 42;
  Split split = Split::in_distribution;
  int width = 64, height = 64;
  double fps = 24;
  /// Parameters set by hand (name → value); the others are drawn from the seed.
  std::map<std::string, double> overrides;
  /// Colour names of the first bodies; the others are drawn.
  std::vector<std::string> colours;
  /// Only plain and gradient backgrounds, no checkers and edges.
  bool smooth_background = false;
  std::vector<TimedAction> actions;
  /// A law to break.
  std::optional<CorruptionSpec> corruption;
};

/// One running clip. Starts at frame 0. Not thread-safe; any number may run side by side.
class World {
 public:
  /// Throws InputError for an unknown scene, parameter or colour and for a size or rate out of range.
  explicit World(const WorldSpec& spec);
  World(World&&) noexcept;
  ~World();

  /// Moves on to the next frame, applying the actions that are due.
  void step();
  /// Applies an action before the next step: its effect shows in the next frame.
  void push(const Action& action);
  /// Ground truth of the frame the world is at.
  const FrameTruth& truth() const { return truth_; }
  /// Index of that frame.
  int frame() const { return frame_; }
  /// Draws that frame.
  Frame draw() const;
  /// The same into a frame of the spec's size, reusing its memory.
  void draw(Frame& into) const;
  /// Ground truth of the whole clip up to now but its frames: names, bodies, scale, parameters, caption.
  Annotations describe() const;
  /// A caption that is true of the clip, in one of many wordings; the same seed gives the same words.
  std::string caption() const;
  std::string caption(std::uint64_t wording) const;

  const WorldSpec& spec() const { return spec_; }
  Scene& scene() { return *scene_; }
  const Scene& scene() const { return *scene_; }
  const Look& look() const { return look_; }
  double metres_per_pixel() const { return scene_->metres_per_pixel(spec_.height); }
  /// How a push changes the velocity of the body it meets (m/s).
  double push_speed() const { return scene_->view_height(); }

 private:
  void observe();

  WorldSpec spec_;
  Look look_;
  Parameters parameters_;
  std::unique_ptr<Scene> scene_;
  std::unique_ptr<Corruptor> corruptor_;
  FrameTruth truth_;
  int frame_ = 0;
  Frame still_;
};

}  // namespace orrery::worlds
