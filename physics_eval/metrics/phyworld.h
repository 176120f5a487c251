// PhyWorld's evaluator (Kang et al., arXiv 2411.02385): where the balls are by colour masks, and how wrong their
// positions and velocities are. Its conventions: a world of 10 × 10 units, 0.1 s a frame, y up, ball 1 red, ball 2
// blue, frames from the fourth on, while the balls are whole in the picture.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

/// What a pixel is worth. The evaluator divides a pixel's index by the width; the renderer put `width` samples on
/// [0, 1] with both ends, so the true pitch is width − 1. The difference makes most of the published floor of the
/// truth.
enum class PixelPitch { published, renderer };

/// A ball's centre and radius in world units; NaN as the evaluator has it where a ball was never seen.
struct PhyWorldBall {
  double x = 0, y = 0, radius = 0;
};

enum class PhyWorldColour { red, blue };

/// The ball of a colour: mask own channel > 127 and the others < 127, mean index of the mask, radius from its area.
/// Without mask pixels: (edge, otherwise.y, otherwise.radius), where edge is 10, or 0 for ball 1 of a collision.
PhyWorldBall phyworld_ball(const Frame& frame, PhyWorldColour colour, PixelPitch pitch, const PhyWorldBall& otherwise);

/// Errors of a clip with one ball (uniform motion, parabola).
struct PhyWorldOne {
  /// The frames that count, and the balls found in them.
  std::vector<int> frames;
  std::vector<PhyWorldBall> balls;
  /// Mean |x − x̂| and |y − ŷ| (units), range of the radius.
  double x_error = 0, y_error = 0, radius_range = 0;
  /// Mean |v − v̂| a component (units a second).
  double vx_error = 0, vy_error = 0;
  /// |mean v̂_x − initial v|: the figure published for uniform motion.
  double mean_speed_error = 0;
  /// The paper's formula: mean over frames of |v − v̂|, length of the vector. Its noise is the mask's (a tenth of a
  /// pixel a frame), so the truth's own error under it is above the one that the paper prints.
  double speed_error = 0;
  /// |mean v_x − mean v̂_x| + |mean v_y − mean v̂_y|: gives the truth's published error for the parabola.
  double mean_velocity_error = 0;
};

/// truth: a position a frame. At least two frames must count, else InputError.
PhyWorldOne phyworld_one(std::span<const Frame> frames, std::span<const std::array<double, 2>> truth, double radius,
                         double initial_speed, PixelPitch pitch, PhyWorldColour colour = PhyWorldColour::red);

/// Errors of a clip with two balls that collide; x only, as published. NaN where no frame falls in a part.
struct PhyWorldTwo {
  std::vector<int> frames;
  std::vector<std::array<PhyWorldBall, 2>> balls;
  /// Index into the velocities at which the contact is (first |Δv| > 0.1), or the last one.
  int contact = 0;
  double before_x_error = 0, after_x_error = 0;
  double before_v_error = 0, after_v_error = 0;
  /// |mean v − mean v̂| of a ball, the mean of both: the figure published for collisions.
  double before_mean_v_error = 0, after_mean_v_error = 0;
  double before_momentum_error = 0, after_momentum_error = 0;
  double before_energy_error = 0, after_energy_error = 0;
  double radius_range = 0;
};

struct PhyWorldPair {
  std::array<double, 2> radius{}, speed{};
};

/// truth: two positions a frame. Ball 2's speed is counted leftwards, as in the published initial values.
PhyWorldTwo phyworld_two(std::span<const Frame> frames, std::span<const std::array<std::array<double, 2>, 2>> truth,
                         const PhyWorldPair& initial, PixelPitch pitch);

}  // namespace orrery
