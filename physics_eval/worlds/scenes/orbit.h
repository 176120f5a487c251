// A ball in orbit around a fixed one, under a central force ∝ 1/r² (Kepler's problem).
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

SceneInfo orbit_scene();

}  // namespace orrery::worlds
