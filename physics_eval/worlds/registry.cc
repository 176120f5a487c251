#include "core/base/error.h"
#include "physics_eval/worlds/fluid/water_scene.h"
#include "physics_eval/worlds/scene.h"
#include "physics_eval/worlds/scenes/balls.h"
#include "physics_eval/worlds/scenes/blocks.h"
#include "physics_eval/worlds/scenes/cradle.h"
#include "physics_eval/worlds/scenes/double_pendulum.h"
#include "physics_eval/worlds/scenes/orbit.h"
#include "physics_eval/worlds/scenes/pendulum.h"
#include "physics_eval/worlds/scenes/phyworld.h"
#include "physics_eval/worlds/scenes/spring.h"

namespace orrery::worlds {

const std::vector<SceneInfo>& scene_registry() {
  static const std::vector<SceneInfo> registry = [] {
    std::vector<SceneInfo> rows;
    rows.push_back(bounce_scene());
    rows.push_back(throw_scene());
    rows.push_back(roll_scene());
    rows.push_back(collide_scene());
    rows.push_back(pendulum_scene());
    rows.push_back(double_pendulum_scene());
    rows.push_back(cradle_scene());
    rows.push_back(ramp_scene());
    rows.push_back(seesaw_scene());
    rows.push_back(stack_scene());
    rows.push_back(dominoes_scene());
    rows.push_back(spring_scene());
    rows.push_back(orbit_scene());
    rows.push_back(phyworld_uniform_scene());
    rows.push_back(phyworld_collision_scene());
    rows.push_back(phyworld_parabola_scene());
    rows.push_back(pour_scene());
    rows.push_back(dam_scene());
    rows.push_back(float_scene());
    return rows;
  }();
  return registry;
}

const SceneInfo& find_scene(std::string_view name) {
  std::string known;
  for (const SceneInfo& row : scene_registry()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw InputError("[worlds] unknown scene '" + std::string(name) + "', expected one of: " + known);
}

bool Scene::corrupt(std::string_view, int, Random) { return false; }

void paint_body(Canvas& canvas, const BodyInfo& info, const BodyState& state, const Look& look) {
  if (state.visible <= 0) return;
  const BodyInfo seen = shown(info, state);
  const Colour colour = colour_of(seen.colour);
  if (seen.shape == Shape::disc) {
    canvas.disc(state.position, seen.radius, colour, look.shading);
  } else {
    canvas.box(state.position, seen.width, seen.height, state.angle, colour);
  }
}

double scale_change(Random random) { return random.chance(0.5) ? random.uniform(0.55, 0.7) : random.uniform(1.4, 1.7); }

void paint_room(Canvas& canvas, const Room& room, const Look& look) {
  const Colour edge = look.ground * 0.86f;
  if (room.wall > 0) {
    canvas.rectangle({0, 0}, {room.wall, room.height}, look.ground);
    canvas.rectangle({room.width - room.wall, 0}, {room.width, room.height}, look.ground);
    canvas.rectangle({0, room.height - room.wall}, {room.width, room.height}, look.ground);
  }
  if (room.floor > 0) {
    canvas.rectangle({0, 0}, {room.width, room.floor}, look.ground);
    if (room.floor > 1.5 * room.wall) canvas.rectangle({0, 0}, {room.width, room.floor * 0.5}, edge);
  }
}

}  // namespace orrery::worlds
