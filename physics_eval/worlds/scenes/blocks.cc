#include "physics_eval/worlds/scenes/blocks.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "physics_eval/worlds/box2d_scene.h"

namespace orrery::worlds {
namespace {

constexpr double kDegree = std::numbers::pi / 180;
constexpr std::string_view kBlock = "(block|box)";

const std::vector<std::string_view> kRampBall = {"$one (rolls|rolls|is rolling) down (a|the) (ramp|slope)",
                                                 "$one (rolls|rolling) down (a|the) (ramp|slope) $dir",
                                                 "$noun rolling down (a|the) (ramp|slope)"};
const std::vector<std::string_view> kRampBlock = {"$one (slides|slides|is sliding) down (a|the) (ramp|slope)",
                                                  "$one (slides|sliding) down (a|the) (ramp|slope) $dir",
                                                  "$noun sliding down (a|the) (ramp|slope)"};
const std::vector<std::string_view> kSeesaw = {"$one falls (on|onto) a seesaw (and throws $other up|)",
                                               "$one (drops|falls) onto (a|the) seesaw and $other (flies|jumps) up",
                                               "$one lands on a seesaw", "a seesaw with $one and $other"};
const std::vector<std::string_view> kStack = {"$one (hits|runs into|crashes into) a (tower|stack) of $count blocks",
                                              "a (tower|stack) of $count $colour blocks is hit by $one",
                                              "$one (hits|crashes into|bumps into) a (tower|stack) of blocks",
                                              "$noun (hitting|crashing into) a (tower|stack) of blocks"};
const std::vector<std::string_view> kDominoes = {"$count $colour dominoes (fall over|topple|fall|are falling over)",
                                                 "$colour dominoes (fall over|topple) (one after another|)",
                                                 "a row of (falling|$colour) dominoes",
                                                 "a row of $count dominoes (falls over|topples)"};

// Mirrors a place or a velocity when the scene runs to the left.
struct Side {
  double width;
  bool mirrored;
  Vec2 at(double x, double y) const { return {mirrored ? width - x : x, y}; }
  double way() const { return mirrored ? -1 : 1; }
};

double body_radius(SceneContext& context, const Room& room, const std::string& name) {
  return room.height * context.parameters.draw(name, {0.07, 0.11}, {{0.045, 0.062}, {0.12, 0.13}});
}

std::unique_ptr<Scene> make_ramp(SceneContext& context) {
  auto scene = std::make_unique<Box2dScene>(context);
  Parameters& p = context.parameters;
  const Room& room = scene->room();
  const Side side{room.width, p.draw_flag("leftwards", 0.5)};
  const bool ball = p.draw_flag("ball", 0.65);
  const double slope =
      (ball ? p.draw("slope", {15, 32}, {{8, 13}, {35, 40}}) : p.draw("slope", {24, 34}, {{20, 23}, {36, 40}})) *
      kDegree;
  const double friction = ball ? p.draw("friction", {0.5, 0.8}) : p.draw("friction", {0.05, 0.2});
  const double radius = body_radius(context, room, "radius1");
  // The slope comes down from the wall and ends before the middle of the room's far half.
  const double run = (room.width - 2 * room.wall) * p.draw("run", {0.55, 0.7});
  const double rise = std::min(run * std::tan(slope), room.height - room.wall - room.floor - 2.6 * radius);
  const double angle = std::atan2(rise, run);
  std::vector<Vec2> wedge = {side.at(room.wall, room.floor), side.at(room.wall + run, room.floor),
                             side.at(room.wall, room.floor + rise)};
  if (side.mirrored) std::swap(wedge[1], wedge[2]);
  scene->add_obstacle(wedge, 0.6);
  BodySpec body;
  body.shape = ball ? Shape::disc : Shape::box;
  body.radius = radius;
  body.width = body.height = 1.7 * radius;
  body.restitution = ball ? p.draw("restitution", {0.4, 0.7}) : 0.1;
  body.friction = friction;
  const double lift = ball ? radius : body.height / 2;
  // Along the slope from its top, clear of the wall.
  const double back =
      (ball ? radius * 1.15 : 0.5 * body.width * 1.5) + std::sin(angle) * lift + p.draw("place1", {0, 0.12}) * run;
  const double x = room.wall + back, y = room.floor + rise - back * std::tan(angle);
  body.position = side.at(x + std::sin(angle) * lift, y + std::cos(angle) * lift);
  body.angle = ball ? 0 : -side.way() * angle;
  scene->add(body);
  scene->templates = ball ? kRampBall : kRampBlock;
  const bool right = !side.mirrored;
  scene->slots = [ball, right](const Box2dScene& at, Random& random) {
    Subject subject = subject_of(at.bodies()[0], at.view_height());
    if (!ball) subject.noun = kBlock, subject.size = 0;
    return Slots{{"one", noun_phrase(subject, random)},
                 {"noun", noun(subject, random)},
                 {"dir", direction_phrase(right, random)}};
  };
  return scene;
}

std::unique_ptr<Scene> make_seesaw(SceneContext& context) {
  auto scene = std::make_unique<Box2dScene>(context);
  Parameters& p = context.parameters;
  const Room& room = scene->room();
  const Side side{room.width, p.draw_flag("from_right", 0.5)};
  const double half = room.height * p.draw("half_length", {0.32, 0.38}) * std::min(1.0, room.width / room.height);
  const double thick = room.height * 0.04, stand = room.height * p.draw("stand", {0.1, 0.14});
  const double middle = room.width / 2, top = room.floor + stand;
  scene->add_obstacle({{middle - 0.6 * stand, room.floor}, {middle + 0.6 * stand, room.floor}, {middle, top}}, 0.6);
  // The plank rests on its far end.
  const double tilt = std::asin(std::min(0.9, (stand - 0.1 * thick) / half));
  BodySpec plank;
  plank.shape = Shape::box;
  plank.width = 2 * half;
  plank.height = thick;
  plank.position = {middle, top + thick / 2};
  plank.density = 0.3;
  plank.restitution = 0.1;
  plank.friction = 0.8;
  BodySpec ball, load;
  ball.radius = body_radius(context, room, "radius1");
  ball.density = p.draw("density1", {1.6, 2.4});
  ball.restitution = 0.15;
  // A ball would roll off the slanting plank before the other one lands.
  load.shape = Shape::box;
  load.width = load.height = room.height * p.draw("load", {0.1, 0.13});
  load.density = 0.35;
  load.restitution = 0.15;
  load.friction = 0.8;
  // Angles are counter-clockwise; the low end is on the far side (right when not mirrored).
  plank.angle = -side.way() * tilt;
  const Vec2 along = rotated({1, 0}, plank.angle), up = perpendicular(along);
  load.position = plank.position + along * (side.way() * half * 0.82) + up * (thick / 2 + load.height / 2 + 0.002);
  load.angle = plank.angle;
  const double drop = p.draw("drop1", {0.75, 0.97});
  const double highest = room.height - room.wall - ball.radius,
               lowest = plank.position.y + half * std::sin(tilt) + 1.2 * ball.radius;
  ball.position = {middle - side.way() * half * p.draw("place1", {0.7, 0.85}), lowest + (highest - lowest) * drop};
  scene->add(ball);
  scene->add(load);
  const int id = scene->add(plank);
  // The limit keeps the ends off the floor's skin.
  scene->add_hinge(id, plank.position, -tilt - plank.angle, tilt - plank.angle);
  scene->colour_groups = {0, 1, 2};
  scene->templates = kSeesaw;
  scene->slots = [](const Box2dScene& at, Random& random) {
    Subject one = subject_of(at.bodies()[0], at.view_height()), other{at.bodies()[1].colour};
    other.noun = kBlock;
    return Slots{{"one", noun_phrase(one, random)}, {"other", noun_phrase(other, random)}};
  };
  return scene;
}

std::unique_ptr<Scene> make_stack(SceneContext& context) {
  auto scene = std::make_unique<Box2dScene>(context);
  Parameters& p = context.parameters;
  const Room& room = scene->room();
  const Side side{room.width, p.draw_flag("from_right", 0.5)};
  const int count = p.draw_integer("count", 3, 5);
  const double block = room.height * p.draw("block", {0.1, 0.13}), wide = block * p.draw("wide", {1.0, 1.4});
  const double at = room.width * p.draw("place", {0.52, 0.64});
  BodySpec ball;
  ball.radius = body_radius(context, room, "radius1");
  ball.density = p.draw("density1", {3, 6});
  ball.restitution = p.draw("restitution", {0.3, 0.6});
  const double speed = room.height * p.draw("speed1", {0.9, 1.5}, {{0.6, 0.8}, {1.7, 2.2}});
  ball.position =
      side.at(room.wall + ball.radius * 1.2, room.floor + ball.radius + room.height * p.draw("height1", {0.0, 0.25}));
  // Thrown so that it comes in at about its starting height.
  const double way = at - wide / 2 - ball.radius * 2.2 - room.wall, time = way / speed;
  ball.velocity = {side.way() * speed, 0.5 * -scene->gravity().y * time * p.draw("loft", {0.5, 1.0})};
  ball.omega = -side.way() * speed / ball.radius;
  scene->add(ball);
  scene->colour_groups = {0};
  for (int i = 0; i < count; ++i) {
    BodySpec box;
    box.shape = Shape::box;
    box.width = wide;
    box.height = block;
    box.position =
        side.at(at + p.draw("offset" + std::to_string(i + 1), {-0.06, 0.06}) * wide, room.floor + block * (i + 0.5));
    box.restitution = 0.1;
    box.friction = 0.5;
    scene->add(box);
    // Blocks alternate between two colours, so that each can be told from the next.
    scene->colour_groups.push_back(1 + i % 2);
  }
  const bool two_tone = p.draw_flag("two_tone", 0.5);
  if (!two_tone) std::fill(scene->colour_groups.begin() + 1, scene->colour_groups.end(), 1);
  scene->templates = kStack;
  scene->slots = [count, two_tone](const Box2dScene& world, Random& random) {
    const Subject one = subject_of(world.bodies()[0], world.view_height());
    return Slots{{"one", noun_phrase(one, random)},
                 {"noun", noun(one, random)},
                 {"count", count_word(count)},
                 {"colour", two_tone ? "" : world.bodies()[1].colour}};
  };
  return scene;
}

std::unique_ptr<Scene> make_dominoes(SceneContext& context) {
  auto scene = std::make_unique<Box2dScene>(context);
  Parameters& p = context.parameters;
  const Room& room = scene->room();
  const Side side{room.width, p.draw_flag("leftwards", 0.5)};
  const int count = p.draw_integer("count", 4, 6);
  const double tall = room.height * p.draw("tall", {0.2, 0.27}), thin = room.height * p.draw("thin", {0.034, 0.045});
  const double span = room.width - 2 * room.wall,
               gap = std::min(0.62 * tall, (span - 0.95 * tall - count * thin) / count) * p.draw("gap", {0.85, 1.0});
  const double row = count * thin + (count - 1) * gap, start = room.wall + 0.6 * (span - row - 0.85 * tall) + thin / 2;
  for (int i = 0; i < count; ++i) {
    BodySpec domino;
    domino.shape = Shape::box;
    domino.width = thin;
    domino.height = tall;
    domino.position = side.at(start + i * (thin + gap), room.floor + tall / 2);
    domino.restitution = 0.05;
    domino.friction = 0.45;
    if (i == 0) {
      // Pushed over its edge: fast enough to pass the upright, about its outer lower corner.
      domino.omega = -side.way() * p.draw("spin", {1.2, 2.2}, {{2.5, 3.2}});
      const Vec2 corner{side.way() * thin / 2, -tall / 2};
      domino.velocity = perpendicular(-corner) * domino.omega;
    }
    scene->add(domino);
    scene->colour_groups.push_back(0);
  }
  scene->templates = kDominoes;
  scene->slots = [count](const Box2dScene& world, Random&) {
    return Slots{{"count", count_word(count)}, {"colour", world.bodies()[0].colour}};
  };
  return scene;
}

std::vector<std::string_view> with_block(std::vector<std::string_view> grammar) {
  grammar.push_back(kBlock);
  return grammar;
}

}  // namespace

SceneInfo ramp_scene() {
  std::vector<std::string_view> grammar = kRampBall;
  grammar.insert(grammar.end(), kRampBlock.begin(), kRampBlock.end());
  return {"ramp", "a ball rolling or a block sliding down a slope", make_ramp, with_block(grammar), 1};
}
SceneInfo seesaw_scene() {
  return {"seesaw", "a ball that falls on one end of a seesaw and throws up what lies on the other", make_seesaw,
          with_block(kSeesaw), 0.6};
}
SceneInfo stack_scene() {
  return {"stack", "a ball that runs into a tower of three to five blocks", make_stack, kStack, 0.6};
}
SceneInfo dominoes_scene() {
  return {"dominoes", "a row of four to six dominoes knocking each other over", make_dominoes, kDominoes, 0.5};
}

}  // namespace orrery::worlds
