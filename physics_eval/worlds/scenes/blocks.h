// Rigid bodies with corners, on Box2D: a ramp, a seesaw, a stack that is knocked over, a row of dominoes.
#pragma once

#include "physics_eval/worlds/scene.h"

namespace orrery::worlds {

/// A ball or a block goes down a slope.
SceneInfo ramp_scene();
/// A ball falls on one end of a plank and throws up what lies on the other.
SceneInfo seesaw_scene();
/// A ball runs into a tower of blocks.
SceneInfo stack_scene();
/// A row of thin blocks that knock each other over.
SceneInfo dominoes_scene();

}  // namespace orrery::worlds
