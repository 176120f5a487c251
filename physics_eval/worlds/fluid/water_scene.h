// What the scenes with water share: a solver in its place in the picture, the water as a body among the annotated ones,
// pushes, drawing from states, and the ways in which its physics can be broken.
//
// The water is the last body of a scene: shape "fluid", its mass, and as position and velocity those of its centre of
// mass. The density of water is 1 (as all bodies of the worlds have density 1), a floating body's below it. A frame's
// extras are "volume" (m², particles times the room that each takes), "water_kinetic" and "water_potential".
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "physics_eval/worlds/fluid/solver.h"
#include "physics_eval/worlds/fluid/surface.h"
#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

class WaterScene : public Scene {
 public:
  void advance(double seconds) override;
  void observe(FrameTruth& truth) override;
  void push(Vec2 point, Vec2 change) override;
  void paint_still(Canvas& canvas) const override;
  void paint(Canvas& canvas, const FrameTruth& truth) const override;
  bool corrupt(std::string_view kind, int body, Random random) override;
  std::vector<std::string_view> corruptions() const override;

  const fluid::Solver& solver() const { return *solver_; }
  /// Where the solver's domain begins in the picture: the upper left end of the floor.
  Vec2 origin() const { return origin_; }

 protected:
  /// Draws view height, gravity and the floor; `tank` also draws side walls, and the water's domain lies between them.
  WaterScene(SceneContext& context, bool tank);

  /// Called before the water moves, for gates and jugs.
  virtual void drive(double /*seconds*/) {}
  /// Whether the water is let go.
  virtual bool running() const { return true; }
  /// Draws what is neither water nor body nor vessel, behind the water.
  virtual void paint_more(Canvas&) const {}
  /// To be called once water and body are in: makes the rows of bodies().
  void finish();

  Look look_;
  Room room_;
  Vec2 origin_;
  /// Metres a cell.
  double cell_ = 0.1;
  std::unique_ptr<fluid::Solver> solver_;

 private:
  /// What paint() needs of a frame that has been: the worlds can run backwards.
  struct Moment {
    Vec2 centre;
    std::vector<float> positions;
    std::vector<double> angles;
  };

  const Moment& moment_of(const FrameTruth& truth) const;
  fluid::SolidDistance solids(const FrameTruth& truth, const std::vector<fluid::Vessel>& vessels) const;
  void paint_water(Canvas& canvas, const FrameTruth& truth, const Moment& moment,
                   const std::vector<fluid::Vessel>& vessels) const;
  bool has_body() const { return bodies_.size() > 1; }
  std::size_t water_index() const { return bodies_.size() - 1; }
  BodyState body_state() const;

  std::vector<Moment> moments_;
  /// Share of its size that the water grows by a second.
  double growth_ = 0;
  std::optional<BodyState> gone_;
};

/// Water let go from one side of a tank, with or without a gate that lifts.
SceneInfo dam_scene();
/// A jug tilts and pours into a glass.
SceneInfo pour_scene();
/// A box or a ball that falls into a tank of water and floats.
SceneInfo float_scene();

}  // namespace orrery::worlds
