// Newton's cradle: three to five equal balls on equal strings side by side, some of them lifted.
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

SceneInfo cradle_scene();

}  // namespace orrery::worlds
