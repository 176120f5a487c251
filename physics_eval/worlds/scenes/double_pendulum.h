// A double pendulum: two balls on two stiff massless rods, without friction. Chaotic from large angles.
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

SceneInfo double_pendulum_scene();

}  // namespace orrery::worlds
