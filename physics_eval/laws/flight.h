// Stretches in which nothing touches a body: there its acceleration is constant, and everybody's is the same.
#pragma once

#include <vector>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

/// A stretch of free flight of one body, frames [first, last]: x = x₀ + v₀ t + a t²/2, and the best of all breaks, from
/// which on the acceleration is another one.
struct Flight {
  int body = 0, first = 0, last = 0;
  /// Pixels a frame², and the standard error of a component.
  Vec acceleration;
  double sigma = 0;
  /// Root mean square residual of a coordinate, pixels.
  double rms = 0;
  /// Where the break fits best, what it adds to the acceleration (with its standard error) and the residual with it;
  /// −1 where the stretch is too short for one.
  int break_frame = -1;
  Vec change;
  double change_sigma = 0, break_rms = 0;
  /// Neither one acceleration nor a break explains the path.
  bool bent = false;

  int frames() const { return last - first + 1; }
};

/// All stretches of at least five frames of bodies that move and are not held, swinging or orbiting.
std::vector<Flight> find_flights(const Context& context);

/// How far the flight's acceleration may be from the usual one, pixels a frame².
double allowance(const Flight& flight, Vec usual);

}  // namespace orrery::laws
