// A pendulum: a ball on a stiff massless rod that turns without friction.
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

SceneInfo pendulum_scene();

}  // namespace orrery::worlds
