// A ball on a spring: hanging from the ceiling, or lying on a smooth floor with the spring fixed to a wall. Exact.
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

SceneInfo spring_scene();

}  // namespace orrery::worlds
