// PhyWorld's three scenarios (Kang et al., "How far is video generation from world model", arXiv 2411.02385) as its
// simulator makes them: Box2D, a 10 × 10 world without walls, steps of 0.01 s, a frame every tenth step (the first
// after one step), density and restitution 1, and its own renderer: white ground, red and blue balls with a soft rim,
// `width` samples on [0, 1] with both ends. So a pixel's centre i stands for i · metres_per_pixel, not i + ½ as
// elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "physics_eval/worlds/scene.h"
#include "physics_eval/worlds/world.h"

namespace orrery::worlds {

SceneInfo phyworld_uniform_scene();
SceneInfo phyworld_collision_scene();
SceneInfo phyworld_parabola_scene();

/// Clip `index` of the training grid of a scenario with one ball: `speeds` × `radii` values evenly over the ranges in
/// distribution (300 × 100, 1000 × 300 and 3000 × 1000 in the paper). 256², 10 frames a second.
WorldSpec phyworld_grid_spec(const std::string& scene, std::uint64_t index, int speeds, int radii, std::uint64_t seed);

/// Clip `index` of the set that the published errors were measured on (`vis_data_L` of its repository): grids of speeds
/// and radii, in distribution and at its eight to sixteen levels out of it, drawn with each level's share. Left out, as
/// there: lone balls of radius < 0.6, colliding ones ≤ 0.5, and pairs with no room for eight frames before the contact.
WorldSpec phyworld_evaluation_spec(const std::string& scene, Split split, std::uint64_t index, std::uint64_t seed);

}  // namespace orrery::worlds
