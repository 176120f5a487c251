// A scene: something that moves by physics, draws itself and tells its state. Scenes are rows of one ordered table; a
// new one is a file pair under scenes/ (or fluid/) and a line in registry.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/worlds/annotations.h"
#include "physics_eval/worlds/draw.h"
#include "physics_eval/worlds/look.h"
#include "physics_eval/worlds/parameters.h"

namespace orrery::worlds {

/// What a scene is made from.
struct SceneContext {
  Parameters& parameters;
  const Look& look;
  /// Picture width over height.
  double aspect = 1;
};

/// One running world. Not thread-safe; several may run at once in different threads.
class Scene {
 public:
  virtual ~Scene() = default;

  /// Moves on by `seconds` > 0 (one frame).
  virtual void advance(double seconds) = 0;
  /// Fills bodies, contacts since the last call, energies, momentum and extras of `truth`; leaves t and visibility
  /// alone.
  virtual void observe(FrameTruth& truth) = 0;
  /// A push on the body nearest to `point`: an impulse that changes its velocity by `change`.
  virtual void push(Vec2 point, Vec2 change) = 0;
  /// Draws what never moves (ground, walls) over the background. Called once a clip and size.
  virtual void paint_still(Canvas& canvas) const = 0;
  /// Draws what moves, from the states in `truth` alone wherever a scene can, so that corrupted states show.
  virtual void paint(Canvas& canvas, const FrameTruth& truth) const = 0;
  /// A caption that is true of the clip from its start, worded by `random`.
  virtual std::string caption(Random random) const = 0;
  /// Bodies of one group get one colour; by default each has its own.
  virtual int colour_group(int body) const { return body; }
  /// Metres a pixel of a picture so many pixels high.
  virtual double metres_per_pixel(int height) const { return view_height_ / height; }
  /// Whether paint() follows the states it is given, so that view corruptions can change them.
  virtual bool paints_states() const { return true; }
  /// Makes the physics itself break a law from now on, on `body` where the kind is about one; see corrupt.h for kinds.
  /// False: this scene has no such way.
  virtual bool corrupt(std::string_view kind, int body, Random random);
  /// The kinds that corrupt() knows.
  virtual std::vector<std::string_view> corruptions() const { return {}; }

  const std::vector<BodyInfo>& bodies() const { return bodies_; }
  std::vector<BodyInfo>& bodies() { return bodies_; }
  Vec2 gravity() const { return gravity_; }
  /// Height of the picture in metres.
  double view_height() const { return view_height_; }

 protected:
  std::vector<BodyInfo> bodies_;
  Vec2 gravity_;
  double view_height_ = 4;
};

/// A row of the registry.
struct SceneInfo {
  std::string_view name;
  /// One line for `orrery simulate --list`.
  std::string_view description;
  std::function<std::unique_ptr<Scene>(SceneContext&)> make;
  /// Every caption template of the scene (see captions.h), for the closed word list and for finding a scene by words.
  std::vector<std::string_view> grammar;
  /// Share in sampling when no scenes are named; 0: only by name.
  double weight = 1;
  /// What `orrery simulate` makes when not told otherwise.
  double fps = 24, seconds = 10;
};

/// All scenes, in a fixed order.
const std::vector<SceneInfo>& scene_registry();
/// The row of that name; throws InputError naming the known ones.
const SceneInfo& find_scene(std::string_view name);

/// Ground and walls that most scenes share.
struct Room {
  double width = 4, height = 4;
  /// Thickness of the ground strip and of the walls; 0: not there.
  double floor = 0, wall = 0;
};
void paint_room(Canvas& canvas, const Room& room, const Look& look);
/// Draws a disc, box or rod as it looks in `state`; nothing when it is not visible.
void paint_body(Canvas& canvas, const BodyInfo& info, const BodyState& state, const Look& look);
/// How much a corrupted size changes: 0.55…0.7 or 1.4…1.7.
double scale_change(Random random);

}  // namespace orrery::worlds
