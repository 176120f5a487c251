// Scenes of rigid bodies with corners and lasting contacts, on Box2D: what ramps, seesaws, stacks and dominoes share.
// Box2D's types stay in the .cc files.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

/// What to add to the world.
struct BodySpec {
  Shape shape = Shape::disc;
  Vec2 position, velocity;
  double angle = 0, omega = 0;
  /// Of a disc; sides of a box.
  double radius = 0, width = 0, height = 0;
  double density = 1, restitution = 0.3, friction = 0.5;
};

/// Box2D fills a table of its own at the first contact of the process, without a lock: call this before any b2World.
void prepare_box2d();

class Box2dScene : public Scene {
 public:
  /// Draws view_height, gravity, floor and wall from the usual ranges and builds the room.
  explicit Box2dScene(SceneContext& context);
  ~Box2dScene() override;

  void advance(double seconds) override;
  void observe(FrameTruth& truth) override;
  void push(Vec2 point, Vec2 change) override;
  void paint_still(Canvas& canvas) const override;
  void paint(Canvas& canvas, const FrameTruth& truth) const override;
  int colour_group(int body) const override;
  std::string caption(Random random) const override;
  std::vector<std::string_view> corruptions() const override;
  bool corrupt(std::string_view kind, int body, Random random) override;

  const Room& room() const { return room_; }
  /// Adds a moving body and returns its id.
  int add(const BodySpec& spec);
  /// A fixed convex obstacle, counter-clockwise; drawn in the ground's colour.
  void add_obstacle(const std::vector<Vec2>& corners, double friction);
  /// A hinge between a body and the world.
  void add_hinge(int body, Vec2 at, double lowest_angle, double highest_angle);

  /// Caption templates, and what fills their slots.
  std::vector<std::string_view> templates;
  std::function<Slots(const Box2dScene&, Random&)> slots;
  /// The colour group of each body; empty: each its own.
  std::vector<int> colour_groups;

 protected:
  struct Physics;

  Look look_;
  Room room_;
  std::vector<std::vector<Vec2>> obstacles_;
  std::unique_ptr<Physics> physics_;
};

}  // namespace orrery::worlds
