// Balls in a room: bounce, throw, roll, collide. Physics by DiscSystem (discs.h).
#pragma once

#include <string>
#include <vector>

#include "physics_eval/worlds/discs.h"
#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

/// One or two balls dropped onto the floor of a closed room.
SceneInfo bounce_scene();
/// One ball thrown in an arc.
SceneInfo throw_scene();
/// One ball rolling over the floor between two walls.
SceneInfo roll_scene();
/// Two to four balls that run into each other, on a table seen from above or along the floor.
SceneInfo collide_scene();

/// What those scenes share: a room with balls in it.
class BallScene : public Scene {
 public:
  /// `elevation`: gravity acts (else a table seen from above, with four equal walls).
  BallScene(SceneContext& context, bool elevation);

  void advance(double seconds) override;
  void observe(FrameTruth& truth) override;
  void push(Vec2 point, Vec2 change) override;
  void paint_still(Canvas& canvas) const override;
  void paint(Canvas& canvas, const FrameTruth& truth) const override;
  std::string caption(Random random) const override;
  bool corrupt(std::string_view kind, int body, Random random) override;
  std::vector<std::string_view> corruptions() const override;

  DiscSystem& system() { return system_; }
  const Room& room() const { return room_; }

  /// Adds a ball with its BodyInfo; the mass is that of a sphere of density 1 … seen from the side: ∝ r².
  void add_ball(Vec2 position, Vec2 velocity, double radius);

  /// Caption templates; slots: $group, $one, $noun, $dir, $count.
  std::vector<std::string_view> templates;
  /// Fills $dir: −1 left, 1 right, 0 no slot used.
  int direction = 0;

 private:
  bool teleport(Disc& disc, Random& random);

  DiscSystem system_;
  Room room_;
  Look look_;
  double restitution_ = 1;
};

}  // namespace orrery::worlds
