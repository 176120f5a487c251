// Balls and walls, integrated without a time step's error: between events each substep has a constant acceleration,
// whose parabola is exact, and impacts are located in time (closed form against walls, bisection between balls) before
// their impulse is applied. Contacts that rest are solved together by projected Gauss–Seidel with Coulomb friction
// (Catto, "Iterative dynamics with temporal coherence", GDC 2005). Box2D's semi-implicit Euler applies a restitution up
// to a step too late, which feeds energy into every bounce; scenes of balls alone use this instead.
#pragma once

#include <cstddef>
#include <vector>

#include "physics_eval/worlds/annotations.h"
#include "physics_eval/worlds/vec2.h"

namespace orrery::worlds {

struct Disc {
  Vec2 position, velocity;
  double angle = 0, omega = 0;
  double radius = 0.1, mass = 1;
  /// Inertia is share · mass · radius²: 0.4 of a solid sphere.
  double inertia_share = 0.4;
  double restitution = 1, friction = 0;
  /// Rolling resistance: torque = rolling · radius · normal force.
  double rolling = 0;
  /// Absent discs neither move nor touch.
  bool present = true;

  double inertia() const { return inertia_share * mass * radius * radius; }
};

/// A half plane: discs stay on the side that `normal` (unit) points to.
struct Wall {
  Vec2 point, normal;
  int id = kFloor;
};

class DiscSystem {
 public:
  std::vector<Disc> discs;
  std::vector<Wall> walls;
  Vec2 gravity;
  /// Longest substep (s).
  double longest_step = 1.0 / 480;
  /// Off: discs pass through each other, or through walls (corrupted twins).
  bool discs_touch = true, walls_touch = true;
  /// Above 0: both discs of a collision gain this velocity along the same side, which no masses explain.
  double lawless_kick = 0;

  /// Moves everything on by `seconds`.
  void advance(double seconds);
  /// Contacts since the last call, impulses summed a pair.
  std::vector<ContactState> take_contacts();

 private:
  struct Touch {
    std::size_t disc;
    // The other disc, or −1 − index of a wall.
    std::ptrdiff_t other;
  };
  struct Resting {
    Touch touch;
    Vec2 normal;  // towards `disc`
    double normal_impulse = 0, tangent_impulse = 0;
  };

  void substep(double h);
  void find_resting();
  void accelerations(double h);
  bool is_resting(Touch touch) const;
  bool earliest(double limit, double* when, Touch* which) const;
  void move(double t);
  void impact(Touch touch);
  void separate_resting();
  void record(Touch touch, double impulse);
  Vec2 normal_of(Touch touch) const;
  double gap_of(Touch touch) const;
  /// Velocity of `disc` against the other at the touching point.
  Vec2 approach_of(Touch touch, Vec2 normal) const;
  void apply(Touch touch, Vec2 normal, Vec2 impulse);
  double slow() const;

  std::vector<Resting> resting_;
  std::vector<Vec2> acceleration_;
  std::vector<double> spin_up_;
  std::vector<ContactState> contacts_;
};

}  // namespace orrery::worlds
