#include "physics_eval/worlds/scenes/balls.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "physics_eval/worlds/captions.h"

namespace orrery::worlds {
namespace {

// Radii are in shares of the picture's height: 4.5 to 9 pixels at 64².
constexpr Interval kRadius{0.07, 0.14};
const std::vector<Interval> kRadiusOut = {{0.045, 0.062}, {0.15, 0.19}};
constexpr Interval kGravity{5, 10};
const std::vector<Interval> kGravityOut = {{1.5, 4}, {12, 18}};
constexpr Interval kRestitution{0.82, 0.95};
const std::vector<Interval> kRestitutionOut = {{0.5, 0.75}, {0.97, 1.0}};

double radius_of(SceneContext& context, double view_height, int index) {
  return view_height * context.parameters.draw("radius" + std::to_string(index), kRadius, kRadiusOut);
}

const std::vector<std::string_view> kBounceOne = {
    "$one (bounces|bounces|is bouncing) (on the (floor|ground)|up and down|)",
    "$one (falls|drops) (to the (floor|ground)|down|) and bounces",
    "$one is dropped (onto the (floor|ground)|) and bounces",
    "$one (falls|drops) and (bounces|keeps bouncing) on the (floor|ground)",
    "$noun bouncing (on the (floor|ground)|)",
    "(a bouncing|the bouncing) $noun"};
const std::vector<std::string_view> kBounceSideways = {"$one (falls|drops) and bounces $dir",
                                                       "$one bounces $dir (across the room|)",
                                                       "$one bouncing (off the (floor|ground)|) and moving $dir"};
const std::vector<std::string_view> kBounceTwo = {
    "$group (bounce|bounce|are bouncing) (on the (floor|ground)|up and down|)",
    "$group (fall|drop) (to the (floor|ground)|) and bounce", "$group bouncing (on the (floor|ground)|)"};
const std::vector<std::string_view> kThrow = {"$one is (thrown|tossed) $dir (in an arc|through the air|)",
                                              "$one (flies|is flying) (through the air|in an arc|) $dir",
                                              "$one is (thrown|tossed) (up|into the air|through the air)",
                                              "$noun (thrown|tossed) $dir"};
const std::vector<std::string_view> kRoll = {"$one (rolls|rolls|is rolling) $dir (on the (floor|ground)|)",
                                             "$one (rolls|is rolling) (on|along|across|over) the (floor|ground)",
                                             "$noun rolling ($dir|on the (floor|ground)|)",
                                             "(a rolling|the rolling) $noun"};
const std::vector<std::string_view> kCollide = {
    "$group (collide|collide|are colliding|run into each other|bump into each other|hit each other)",
    "$group move towards each other and collide", "$group colliding", "a collision (of|between) $group"};
const std::vector<std::string_view> kCollideMany = {
    "$group (collide|collide|are colliding|run into each other|bump into each other|hit each other)",
    "$group (bounce off each other|bounce around and collide)", "$group colliding", "a collision (of|between) $group"};

void append(std::vector<std::string_view>& all, const std::vector<std::string_view>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

std::unique_ptr<Scene> make_bounce(SceneContext& context) {
  auto scene = std::make_unique<BallScene>(context, true);
  const int count = context.parameters.draw_flag("two", 0.25) ? 2 : 1;
  const Room& room = scene->room();
  const double left = room.wall, right = room.width - room.wall;
  for (int i = 0; i < count; ++i) {
    const std::string label = std::to_string(i + 1);
    const double radius = radius_of(context, room.height, i + 1);
    // Two balls start in their own halves.
    const double lane = (right - left) / count, low = left + lane * i + radius * 1.05,
                 high = left + lane * (i + 1) - radius * 1.05;
    const double x = low + (high - low) * context.parameters.draw("place" + label, {0.1, 0.9});
    const double ground = room.floor + radius, top = room.height - room.wall - radius;
    const double y = ground + (top - ground) * context.parameters.draw("drop" + label, {0.55, 0.97});
    const double sideways =
        context.parameters.draw("sideways" + label, {-0.35, 0.35}, {{-0.7, -0.4}, {0.4, 0.7}}) * room.height;
    scene->add_ball({x, y}, {std::abs(sideways) < 0.06 * room.height ? 0.0 : sideways, 0}, radius);
  }
  const double sideways = scene->system().discs[0].velocity.x, x = scene->system().discs[0].position.x;
  // "To the right" only where it goes right for long enough to be seen.
  const double way = sideways > 0 ? right - x : x - left;
  scene->templates = count == 2 ? kBounceTwo : kBounceOne;
  if (count == 1 && std::abs(sideways) > 0.12 * room.height && way > 0.3 * room.width) {
    scene->direction = sideways > 0 ? 1 : -1;
    append(scene->templates, kBounceSideways);
  }
  return scene;
}

std::unique_ptr<Scene> make_throw(SceneContext& context) {
  auto scene = std::make_unique<BallScene>(context, true);
  const Room& room = scene->room();
  const double radius = radius_of(context, room.height, 1);
  const bool right = context.parameters.draw_flag("rightwards", 0.5);
  const double low = room.wall + radius, high = room.width - room.wall - radius;
  const double edge = context.parameters.draw("place1", {0.02, 0.25});
  const double x = right ? low + (high - low) * edge : high - (high - low) * edge;
  const double ground = room.floor + radius, top = room.height - room.wall - radius;
  const double y = ground + (top - ground) * context.parameters.draw("height1", {0.05, 0.55});
  // The arc's top stays below the ceiling.
  const double apex = y + (top - y) * context.parameters.draw("apex1", {0.35, 0.95});
  const double up = std::sqrt(2 * length(scene->gravity()) * (apex - y));
  const double across = context.parameters.draw("speed1", {0.3, 0.75}, {{0.15, 0.25}, {0.85, 1.1}}) * room.height;
  scene->add_ball({x, y}, {right ? across : -across, up}, radius);
  scene->templates = kThrow;
  scene->direction = right ? 1 : -1;
  return scene;
}

std::unique_ptr<Scene> make_roll(SceneContext& context) {
  auto scene = std::make_unique<BallScene>(context, true);
  const Room& room = scene->room();
  const double radius = radius_of(context, room.height, 1);
  const bool right = context.parameters.draw_flag("rightwards", 0.5);
  const double low = room.wall + radius, high = room.width - room.wall - radius;
  const double edge = context.parameters.draw("place1", {0.02, 0.45});
  const double speed = context.parameters.draw("speed1", {0.3, 0.8}, {{0.12, 0.22}, {0.95, 1.3}}) * room.height;
  scene->add_ball({right ? low + (high - low) * edge : high - (high - low) * edge, room.floor + radius},
                  {right ? speed : -speed, 0}, radius);
  Disc& ball = scene->system().discs[0];
  ball.omega = -ball.velocity.x / radius;
  ball.friction = context.parameters.draw("friction", {0.3, 0.6});
  ball.rolling = context.parameters.draw("rolling", {0.0005, 0.002});
  scene->bodies()[0].friction = ball.friction;
  scene->templates = kRoll;
  scene->direction = right ? 1 : -1;
  return scene;
}

// Balls on their way to each other: the first two meet first, the others drift about.
std::unique_ptr<Scene> make_collide(SceneContext& context) {
  const bool table = context.parameters.draw_flag("table", 0.6);
  auto scene = std::make_unique<BallScene>(context, !table);
  const Room& room = scene->room();
  Random random = context.parameters.random("collide");
  const double speed = context.parameters.draw("speed1", {0.25, 0.55}, {{0.12, 0.2}, {0.65, 0.9}}) * room.height;
  const double other_speed = context.parameters.draw("speed2", {0.25, 0.55}, {{0.12, 0.2}, {0.65, 0.9}}) * room.height;
  const double r1 = radius_of(context, room.height, 1), r2 = radius_of(context, room.height, 2);
  const double left = room.wall, right = room.width - room.wall, bottom = table ? room.wall : room.floor,
               top = room.height - room.wall;
  if (!table) {
    // Between them at least 0.4 of what the balls leave free.
    const double spread = 0.3 * (right - left - 2 * r1 - 2 * r2);
    const double x1 = left + r1 + spread * context.parameters.draw("place1", {0.02, 1});
    const double x2 = right - r2 - spread * context.parameters.draw("place2", {0.02, 1});
    scene->add_ball({x1, bottom + r1}, {speed, 0}, r1);
    scene->add_ball({x2, bottom + r2}, {-other_speed, 0}, r2);
    scene->templates = kCollide;
    return scene;
  }
  // Where they would meet, how they come in, and how far off centre.
  const double slack = std::max(r1, r2) < 0.145 * room.height ? 0.08 * room.height : 0.02 * room.height;
  const Vec2 middle{(left + right) / 2 + random.uniform(-1, 1) * slack,
                    (bottom + top) / 2 + random.uniform(-1, 1) * slack};
  const double angle = context.parameters.draw("direction", {0, 2 * std::numbers::pi});
  const double aside = context.parameters.draw("aside", {-0.5, 0.5}) * (r1 + r2);
  const Vec2 along{std::cos(angle), std::sin(angle)}, side = perpendicular(along);
  // Each comes from as far as the room allows for both to arrive together, but starts clear of the other.
  const double reach = 0.5 * std::min(right - left, top - bottom) - slack, far1 = reach - r1, far2 = reach - r2;
  const double time = std::min(far1 / speed, far2 / other_speed) * context.parameters.draw("approach", {0.8, 1.0});
  double from1 = speed * time, from2 = other_speed * time;
  if (from1 + from2 < 1.15 * (r1 + r2)) from1 = far1, from2 = far2;
  scene->add_ball(middle - along * from1 + side * (aside / 2), along * speed, r1);
  scene->add_ball(middle + along * from2 - side * (aside / 2), -along * other_speed, r2);
  const int wanted = context.parameters.draw_integer("count", 2, 4);
  for (int i = 3; i <= wanted; ++i) {
    const double r = radius_of(context, room.height, i);
    for (int attempt = 0; attempt < 64; ++attempt) {
      const Vec2 at{random.uniform(left + r, right - r), random.uniform(bottom + r, top - r)};
      const auto& discs = scene->system().discs;
      const bool free = std::all_of(discs.begin(), discs.end(), [&](const Disc& disc) {
        return length(disc.position - at) > 1.3 * (disc.radius + r);
      });
      // Nor in the lane of the first two.
      const double off = std::abs(dot(at - middle, side));
      if (!free || (off < r + std::max(r1, r2) && attempt < 48)) continue;
      const double heading = random.uniform(0, 2 * std::numbers::pi), pace = random.uniform(0.15, 0.45) * room.height;
      scene->add_ball(at, {pace * std::cos(heading), pace * std::sin(heading)}, r);
      break;
    }
  }
  scene->templates = scene->system().discs.size() > 2 ? kCollideMany : kCollide;
  return scene;
}

std::vector<std::string_view> joined(std::initializer_list<std::vector<std::string_view>> lists) {
  std::vector<std::string_view> all;
  for (const auto& list : lists) append(all, list);
  return all;
}

}  // namespace

BallScene::BallScene(SceneContext& context, bool elevation) : look_(context.look) {
  view_height_ = context.parameters.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
  gravity_ = {0, elevation ? -context.parameters.draw("gravity", kGravity, kGravityOut) : 0.0};
  room_.width = view_height_ * context.aspect;
  room_.height = view_height_;
  room_.wall = view_height_ * context.parameters.draw("wall", {0.024, 0.036});
  room_.floor = elevation ? view_height_ * context.parameters.draw("floor", {0.065, 0.11}) : room_.wall;
  system_.gravity = gravity_;
  system_.walls = {{{0, room_.floor}, {0, 1}, kFloor},
                   {{room_.wall, 0}, {1, 0}, kLeftWall},
                   {{room_.width - room_.wall, 0}, {-1, 0}, kRightWall},
                   {{0, room_.height - room_.wall}, {0, -1}, kCeiling}};
  context.parameters.draw("restitution", elevation ? kRestitution : Interval{0.93, 1.0},
                          elevation ? kRestitutionOut : std::vector<Interval>{{0.6, 0.85}});
  restitution_ = context.parameters.values().at("restitution");
}

void BallScene::add_ball(Vec2 position, Vec2 velocity, double radius) {
  Disc disc;
  disc.position = position;
  disc.velocity = velocity;
  disc.radius = radius;
  disc.mass = std::numbers::pi * radius * radius;
  disc.restitution = restitution_;
  BodyInfo info;
  info.id = static_cast<int>(system_.discs.size());
  info.mass = disc.mass;
  info.radius = radius;
  info.inertia = disc.inertia();
  info.restitution = restitution_;
  system_.discs.push_back(disc);
  bodies_.push_back(info);
}

void BallScene::advance(double seconds) { system_.advance(seconds); }

void BallScene::observe(FrameTruth& truth) {
  truth.kinetic = truth.potential = 0;
  truth.momentum = {};
  for (std::size_t i = 0; i < system_.discs.size(); ++i) {
    const Disc& disc = system_.discs[i];
    truth.bodies.push_back(
        {static_cast<int>(i), disc.position, disc.velocity, disc.angle, disc.omega, disc.present ? 1.0 : 0.0});
    if (!disc.present) continue;
    truth.kinetic +=
        0.5 * disc.mass * dot(disc.velocity, disc.velocity) + 0.5 * disc.inertia() * disc.omega * disc.omega;
    truth.potential -= disc.mass * dot(system_.gravity, disc.position - Vec2{0, room_.floor});
    truth.momentum += disc.velocity * disc.mass;
  }
  truth.contacts = system_.take_contacts();
}

void BallScene::push(Vec2 point, Vec2 change) {
  Disc* nearest = nullptr;
  for (Disc& disc : system_.discs) {
    if (disc.present && (nearest == nullptr || length(disc.position - point) < length(nearest->position - point)))
      nearest = &disc;
  }
  if (nearest != nullptr) nearest->velocity += change;
}

void BallScene::paint_still(Canvas& canvas) const { paint_room(canvas, room_, look_); }

void BallScene::paint(Canvas& canvas, const FrameTruth& truth) const {
  for (const BodyState& state : truth.bodies) {
    paint_body(canvas, bodies_[static_cast<std::size_t>(state.id)], state, look_);
  }
}

std::string BallScene::caption(Random random) const {
  std::vector<Subject> subjects;
  for (const BodyInfo& body : bodies_) subjects.push_back(subject_of(body, view_height_));
  Slots slots;
  slots["group"] = group_phrase(subjects, random);
  slots["one"] = noun_phrase(subjects[0], random);
  slots["noun"] = noun(subjects[0], random);
  slots["dir"] = direction == 0 ? "" : direction_phrase(direction > 0, random);
  return expand_one(templates, slots, random);
}

std::vector<std::string_view> BallScene::corruptions() const {
  std::vector<std::string_view> kinds = {"energy-gain", "teleport", "vanish", "sudden-stop", "size-change"};
  if (system_.gravity.y != 0)
    kinds.insert(kinds.end(), {"gravity-off", "gravity-reversed", "gravity-doubled", "pass-floor"});
  if (system_.discs.size() > 1) kinds.insert(kinds.end(), {"momentum", "pass-through"});
  return kinds;
}

bool BallScene::corrupt(std::string_view kind, int body, Random random) {
  Disc& disc = system_.discs[static_cast<std::size_t>(body)];
  if (kind == "gravity-off") {
    system_.gravity = {};
  } else if (kind == "gravity-reversed") {
    system_.gravity = -system_.gravity;
  } else if (kind == "gravity-doubled") {
    system_.gravity *= 2;
  } else if (kind == "energy-gain") {
    // Above 1 against floor and balls alike, so that no restitution explains it.
    for (Disc& each : system_.discs) each.restitution = 1.25;
  } else if (kind == "momentum") {
    system_.lawless_kick = 0.5 * view_height_;
  } else if (kind == "pass-floor") {
    system_.walls_touch = false;
  } else if (kind == "pass-through") {
    system_.discs_touch = false;
  } else if (kind == "vanish") {
    disc.present = false;
  } else if (kind == "sudden-stop") {
    disc.velocity = {};
    disc.omega = 0;
  } else if (kind == "size-change") {
    // Grown balls are lifted clear of the walls.
    disc.radius *= scale_change(random);
    for (const Wall& wall : system_.walls) {
      const double gap = dot(disc.position - wall.point, wall.normal) - disc.radius;
      if (gap < 0) disc.position -= wall.normal * gap;
    }
  } else if (kind == "teleport") {
    return teleport(disc, random);
  } else {
    return false;
  }
  return true;
}

// To a free place at least a quarter of the picture away.
bool BallScene::teleport(Disc& disc, Random& random) {
  for (int attempt = 0; attempt < 256; ++attempt) {
    const double low = room_.wall + disc.radius;
    const Vec2 at{random.uniform(low, room_.width - low),
                  random.uniform(room_.floor + disc.radius, room_.height - low)};
    if (length(at - disc.position) < 0.25 * view_height_ && attempt < 255) continue;
    const bool free = std::all_of(system_.discs.begin(), system_.discs.end(), [&](const Disc& other) {
      // A crowded room: anywhere far enough will do in the end.
      return attempt > 192 || &other == &disc || length(other.position - at) > other.radius + disc.radius;
    });
    if (!free) continue;
    disc.position = at;
    return true;
  }
  return false;
}

SceneInfo bounce_scene() {
  return {"bounce", "a ball, or two, dropped onto the floor of a closed room", make_bounce,
          joined({kBounceOne, kBounceSideways, kBounceTwo}), 3};
}
SceneInfo throw_scene() { return {"throw", "a ball thrown in an arc", make_throw, kThrow, 1}; }
SceneInfo roll_scene() { return {"roll", "a ball rolling over the floor between two walls", make_roll, kRoll, 1}; }
SceneInfo collide_scene() {
  return {"collide", "two to four balls that run into each other, on a table seen from above or along the floor",
          make_collide, joined({kCollide, kCollideMany}), 1.5};
}

}  // namespace orrery::worlds
