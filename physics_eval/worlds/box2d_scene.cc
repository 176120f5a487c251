#include "physics_eval/worlds/box2d_scene.h"

#include <box2d/box2d.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numbers>

namespace orrery::worlds {
namespace {

constexpr double kLongestStep = 1.0 / 480;
constexpr int kVelocitySweeps = 10, kPositionSweeps = 6;

b2Vec2 to_box(Vec2 v) { return {static_cast<float>(v.x), static_cast<float>(v.y)}; }
Vec2 from_box(b2Vec2 v) { return {v.x, v.y}; }

}  // namespace

void prepare_box2d() {
  static std::once_flag once;
  std::call_once(once, [] {
    b2World world({0, 0});
    b2CircleShape circle;
    circle.m_radius = 1;
    for (int i = 0; i < 2; ++i) {
      b2BodyDef def;
      def.type = b2_dynamicBody;
      world.CreateBody(&def)->CreateFixture(&circle, 1);
    }
    world.Step(0.01f, 1, 1);
  });
}

struct Box2dScene::Physics : public b2ContactListener {
  explicit Physics(Vec2 gravity) : world(to_box(gravity)) {
    world.SetContactListener(this);
    world.SetAllowSleeping(false);
  }

  // Ids are kept as body user data, one up so that 0 stays free.
  static int id_of(const b2Body* body) {
    return static_cast<int>(const_cast<b2Body*>(body)->GetUserData().pointer) - 100;
  }

  void PreSolve(b2Contact* contact, const b2Manifold*) override {
    const int a = id_of(contact->GetFixtureA()->GetBody()), b = id_of(contact->GetFixtureB()->GetBody());
    if ((a < 0 || b < 0) ? !walls_touch : !bodies_touch) contact->SetEnabled(false);
    if (lively > 0) contact->SetRestitution(static_cast<float>(lively));
  }

  void PostSolve(b2Contact* contact, const b2ContactImpulse* impulse) override {
    int a = id_of(contact->GetFixtureA()->GetBody()), b = id_of(contact->GetFixtureB()->GetBody());
    if (a < 0 || (b >= 0 && b < a)) std::swap(a, b);
    double sum = 0;
    for (int i = 0; i < impulse->count; ++i) sum += impulse->normalImpulses[i];
    if (sum <= 0 || a < 0) return;
    const auto found = std::find_if(contacts.begin(), contacts.end(),
                                    [&](const ContactState& have) { return have.a == a && have.b == b; });
    if (found != contacts.end()) {
      found->impulse += sum;
    } else {
      contacts.push_back({a, b, sum});
    }
  }

  b2Body* fixed(int id) {
    b2BodyDef def;
    def.userData.pointer = static_cast<uintptr_t>(id + 100);
    return world.CreateBody(&def);
  }

  b2World world;
  std::vector<b2Body*> bodies;
  std::vector<ContactState> contacts;
  bool walls_touch = true, bodies_touch = true;
  double lively = 0;
};

Box2dScene::Box2dScene(SceneContext& context) : look_(context.look) {
  prepare_box2d();
  Parameters& p = context.parameters;
  view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
  gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
  room_ = {view_height_ * context.aspect, view_height_, view_height_ * p.draw("floor", {0.065, 0.11}),
           view_height_ * p.draw("wall", {0.024, 0.036})};
  physics_ = std::make_unique<Physics>(gravity_);
  // Thick slabs round the room: nothing tunnels through them.
  const double deep = 1.0, left = room_.wall, right = room_.width - room_.wall, top = room_.height - room_.wall;
  const auto slab = [&](int id, Vec2 low, Vec2 high) {
    b2PolygonShape shape;
    const Vec2 half = (high - low) * 0.5;
    shape.SetAsBox(static_cast<float>(half.x), static_cast<float>(half.y), to_box(low + half), 0);
    b2FixtureDef fixture;
    fixture.shape = &shape;
    fixture.friction = 0.6f;
    fixture.restitutionThreshold = 0.1f;
    physics_->fixed(id)->CreateFixture(&fixture);
  };
  slab(kFloor, {-deep, room_.floor - deep}, {room_.width + deep, room_.floor});
  slab(kLeftWall, {left - deep, 0}, {left, room_.height});
  slab(kRightWall, {right, 0}, {right + deep, room_.height});
  slab(kCeiling, {-deep, top}, {room_.width + deep, top + deep});
}

Box2dScene::~Box2dScene() = default;

int Box2dScene::add(const BodySpec& spec) {
  const int id = static_cast<int>(bodies_.size());
  b2BodyDef def;
  def.type = b2_dynamicBody;
  def.position = to_box(spec.position);
  def.linearVelocity = to_box(spec.velocity);
  def.angle = static_cast<float>(spec.angle);
  def.angularVelocity = static_cast<float>(spec.omega);
  def.userData.pointer = static_cast<uintptr_t>(id + 100);
  def.bullet = spec.shape == Shape::disc;
  b2Body* body = physics_->world.CreateBody(&def);
  b2CircleShape circle;
  b2PolygonShape polygon;
  b2FixtureDef fixture;
  if (spec.shape == Shape::disc) {
    circle.m_radius = static_cast<float>(spec.radius);
    fixture.shape = &circle;
  } else {
    polygon.SetAsBox(static_cast<float>(spec.width / 2), static_cast<float>(spec.height / 2));
    // Box2D keeps polygons apart by a skin; without it boxes are drawn with gaps.
    polygon.m_radius = b2_linearSlop;
    fixture.shape = &polygon;
  }
  fixture.density = static_cast<float>(spec.density);
  fixture.restitution = static_cast<float>(spec.restitution);
  fixture.friction = static_cast<float>(spec.friction);
  fixture.restitutionThreshold = 0.1f;
  body->CreateFixture(&fixture);
  if (spec.shape == Shape::disc) {
    // Balls are solid spheres here too: 2/5 m r².
    b2MassData mass{};
    body->GetMassData(&mass);
    mass.I = 0.4f * mass.mass * circle.m_radius * circle.m_radius;
    body->SetMassData(&mass);
  }
  physics_->bodies.push_back(body);
  BodyInfo info;
  info.id = id;
  info.shape = spec.shape;
  info.mass = body->GetMass();
  info.inertia = body->GetInertia();
  info.width = spec.width;
  info.height = spec.height;
  info.radius = spec.shape == Shape::disc ? spec.radius : 0.5 * std::hypot(spec.width, spec.height);
  info.restitution = spec.restitution;
  info.friction = spec.friction;
  bodies_.push_back(info);
  return id;
}

void Box2dScene::add_obstacle(const std::vector<Vec2>& corners, double friction) {
  std::vector<b2Vec2> points;
  for (const Vec2 corner : corners) points.push_back(to_box(corner));
  b2PolygonShape shape;
  shape.Set(points.data(), static_cast<int>(points.size()));
  b2FixtureDef fixture;
  fixture.shape = &shape;
  fixture.friction = static_cast<float>(friction);
  physics_->fixed(kObstacle)->CreateFixture(&fixture);
  obstacles_.push_back(corners);
}

void Box2dScene::add_hinge(int body, Vec2 at, double lowest_angle, double highest_angle) {
  b2RevoluteJointDef def;
  def.Initialize(physics_->fixed(kObstacle), physics_->bodies[static_cast<std::size_t>(body)], to_box(at));
  def.enableLimit = true;
  def.lowerAngle = static_cast<float>(lowest_angle);
  def.upperAngle = static_cast<float>(highest_angle);
  physics_->world.CreateJoint(&def);
}

void Box2dScene::advance(double seconds) {
  const int steps = std::max(1, static_cast<int>(std::ceil(seconds / kLongestStep - 1e-9)));
  for (int i = 0; i < steps; ++i)
    physics_->world.Step(static_cast<float>(seconds / steps), kVelocitySweeps, kPositionSweeps);
}

void Box2dScene::observe(FrameTruth& truth) {
  truth.kinetic = truth.potential = 0;
  truth.momentum = {};
  for (std::size_t i = 0; i < bodies_.size(); ++i) {
    const b2Body& body = *physics_->bodies[i];
    const Vec2 position = from_box(body.GetPosition()), velocity = from_box(body.GetLinearVelocity());
    const double omega = body.GetAngularVelocity();
    truth.bodies.push_back(
        {static_cast<int>(i), position, velocity, body.GetAngle(), omega, body.IsEnabled() ? 1.0 : 0.0});
    if (!body.IsEnabled()) continue;
    truth.kinetic += 0.5 * bodies_[i].mass * dot(velocity, velocity) + 0.5 * bodies_[i].inertia * omega * omega;
    truth.potential += bodies_[i].mass * -from_box(physics_->world.GetGravity()).y * (position.y - room_.floor);
    truth.momentum += velocity * bodies_[i].mass;
  }
  truth.contacts = std::move(physics_->contacts);
  physics_->contacts.clear();
}

void Box2dScene::push(Vec2 point, Vec2 change) {
  b2Body* nearest = nullptr;
  for (b2Body* body : physics_->bodies) {
    if (!body->IsEnabled()) continue;
    if (nearest == nullptr ||
        length(from_box(body->GetPosition()) - point) < length(from_box(nearest->GetPosition()) - point))
      nearest = body;
  }
  if (nearest != nullptr) nearest->SetLinearVelocity(nearest->GetLinearVelocity() + to_box(change));
}

void Box2dScene::paint_still(Canvas& canvas) const {
  paint_room(canvas, room_, look_);
  for (const auto& obstacle : obstacles_) canvas.polygon(obstacle, look_.ground * 0.93f, 0);
}

void Box2dScene::paint(Canvas& canvas, const FrameTruth& truth) const {
  for (const BodyState& state : truth.bodies)
    paint_body(canvas, bodies_[static_cast<std::size_t>(state.id)], state, look_);
}

int Box2dScene::colour_group(int body) const {
  return colour_groups.empty() ? body : colour_groups[static_cast<std::size_t>(body)];
}

std::string Box2dScene::caption(Random random) const {
  const Slots filled = slots(*this, random);
  return expand_one(templates, filled, random);
}

std::vector<std::string_view> Box2dScene::corruptions() const {
  std::vector<std::string_view> kinds = {"gravity-off", "gravity-reversed", "gravity-doubled", "energy-gain",
                                         "teleport",    "vanish",           "sudden-stop",     "pass-floor"};
  if (bodies_.size() > 1) kinds.push_back("pass-through");
  return kinds;
}

bool Box2dScene::corrupt(std::string_view kind, int body, Random random) {
  b2Body& chosen = *physics_->bodies[static_cast<std::size_t>(body)];
  if (kind == "gravity-off" || kind == "gravity-reversed" || kind == "gravity-doubled") {
    const double factor = kind == "gravity-off" ? 0 : (kind == "gravity-reversed" ? -1 : 2);
    physics_->world.SetGravity(to_box(gravity_ * factor));
  } else if (kind == "energy-gain") {
    physics_->lively = 1.2;
  } else if (kind == "pass-floor") {
    physics_->walls_touch = false;
  } else if (kind == "pass-through") {
    physics_->bodies_touch = false;
  } else if (kind == "vanish") {
    chosen.SetEnabled(false);
  } else if (kind == "sudden-stop") {
    chosen.SetLinearVelocity({0, 0});
    chosen.SetAngularVelocity(0);
  } else if (kind == "teleport") {
    const double r = bodies_[static_cast<std::size_t>(body)].radius, low = room_.wall + r;
    Vec2 at{room_.width / 2, room_.height / 2};
    for (int attempt = 0; attempt < 256; ++attempt) {
      at = {random.uniform(low, std::max(low, room_.width - low)),
            random.uniform(room_.floor + r, std::max(room_.floor + r, room_.height - low))};
      bool free = length(at - from_box(chosen.GetPosition())) > 0.25 * view_height_;
      for (std::size_t i = 0; i < bodies_.size() && attempt < 192; ++i) {
        free = free && (physics_->bodies[i] == &chosen ||
                        length(from_box(physics_->bodies[i]->GetPosition()) - at) > bodies_[i].radius + r);
      }
      if (free) break;
    }
    chosen.SetTransform(to_box(at), chosen.GetAngle());
  } else {
    return false;
  }
  return true;
}

}  // namespace orrery::worlds
