// What a person can do to a world: push the body nearest to a place in the picture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "physics_eval/worlds/vec2.h"

namespace orrery::worlds {

enum class Push { none, left, right, up, down };

/// One push. The place is in shares of the picture: u to the right, v downwards, both in [0, 1].
struct Action {
  Push push = Push::none;
  double u = 0.5, v = 0.5;

  bool operator==(const Action&) const = default;
};

/// A push that acts between frame − 1 and frame: `frame` is the first to show it. Frame ≥ 1.
struct TimedAction {
  int frame = 1;
  Action action;

  bool operator==(const TimedAction&) const = default;
};

/// Unit direction in the world (y up); zero for none.
Vec2 push_direction(Push push);
/// "none", "push-left", …
const char* push_name(Push push);
/// Reads "24:push-right@0.5,0.7;48:push-up@0.2,0.9" (also parted by spaces). Throws InputError naming what it found.
std::vector<TimedAction> parse_actions(std::string_view text);

}  // namespace orrery::worlds
