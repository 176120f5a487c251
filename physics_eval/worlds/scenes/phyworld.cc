#include "physics_eval/worlds/scenes/phyworld.h"

#include <box2d/box2d.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "physics_eval/worlds/box2d_scene.h"
#include "physics_eval/worlds/captions.h"

namespace orrery::worlds {
namespace {

constexpr double kScale = 10, kStep = 0.01, kFrame = 0.1, kEdge = 0.05;
constexpr Interval kSpeed{1, 4}, kRadius{0.7, 1.4}, kPairRadius{0.5, 1.5};
const std::vector<Interval> kSpeedOut = {{0, 0.8}, {4.5, 6}}, kRadiusOut = {{0.3, 0.6}, {1.5, 2}},
                            kPairRadiusOut = {{0.3, 0.4}, {1.7, 2}};
// Frames that a lone ball stays in sight, frames before and after a collision, frames a clip.
constexpr double kFramesInSight = 24, kFramesBefore = 8, kFramesAfter = 8, kFrames = 32;

enum class Scenario { uniform, collision, parabola };

const std::vector<std::string_view> kUniform = {
    "a red ball moves to the right", "a red ball moves right at a constant speed", "a red ball drifts to the right"};
const std::vector<std::string_view> kCollision = {"a red ball and a blue ball collide",
                                                  "a blue ball and a red ball run into each other",
                                                  "two balls, red and blue, collide"};
const std::vector<std::string_view> kParabola = {"a red ball is thrown to the right and falls",
                                                 "a red ball falls to the right in an arc"};

class PhyWorld : public Scene {
 public:
  PhyWorld(SceneContext& context, Scenario scenario) : scenario_(scenario) {
    ORRERY_CHECK(std::abs(context.aspect - 1) < 1e-9, "[worlds] phyworld pictures are square, found ", context.aspect,
                 " times as wide as high");
    prepare_box2d();
    view_height_ = kScale;
    gravity_ = {0, scenario == Scenario::parabola ? -2.5 : 0.0};
    world_ = std::make_unique<b2World>(b2Vec2(0, static_cast<float>(gravity_.y)));
    world_->SetAllowSleeping(false);
    scenario == Scenario::collision ? place_two(context.parameters) : place_one(context.parameters);
    // The first frame is the state after one step.
    world_->Step(static_cast<float>(kStep), 15, 20);
  }

  void advance(double seconds) override {
    clock_ += seconds;
    for (; done_ + 0.5 * kStep < clock_; done_ += kStep) world_->Step(static_cast<float>(kStep), 15, 20);
  }

  void observe(FrameTruth& truth) override {
    truth.kinetic = truth.potential = 0;
    truth.momentum = {};
    for (std::size_t i = 0; i < balls_.size(); ++i) {
      const b2Vec2 p = balls_[i]->GetPosition(), v = balls_[i]->GetLinearVelocity();
      const Vec2 position{p.x, p.y}, velocity{v.x, v.y};
      const double mass = bodies_[i].mass, omega = balls_[i]->GetAngularVelocity();
      truth.bodies.push_back({static_cast<int>(i), position, velocity, balls_[i]->GetAngle(), omega, 1.0});
      truth.kinetic += 0.5 * mass * dot(velocity, velocity) + 0.5 * bodies_[i].inertia * omega * omega;
      truth.potential -= mass * gravity_.y * position.y;
      truth.momentum += velocity * mass;
    }
    truth.extra["initial_speed1"] = speed_[0];
    if (balls_.size() > 1) truth.extra["initial_speed2"] = speed_[1];
  }

  void push(Vec2 point, Vec2 change) override {
    b2Body* nearest = balls_[0];
    const auto far = [&](const b2Body* ball) {
      return length(Vec2{ball->GetPosition().x, ball->GetPosition().y} - point);
    };
    for (b2Body* ball : balls_) {
      if (far(ball) < far(nearest)) nearest = ball;
    }
    nearest->SetLinearVelocity(nearest->GetLinearVelocity() +
                               b2Vec2(static_cast<float>(change.x), static_cast<float>(change.y)));
  }

  double metres_per_pixel(int height) const override { return kScale / (height - 1); }

  void paint_still(Canvas& canvas) const override {
    std::fill(canvas.frame().bytes().begin(), canvas.frame().bytes().end(), std::uint8_t{255});
  }

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    Frame& frame = canvas.frame();
    // Balls blend over each other before the bytes are cut off, as the original does it.
    const int width = frame.width(), height = frame.height();
    PixelBox box{width, height, 0, 0};
    for (const BodyState& state : truth.bodies) {
      const double r = shown(bodies_[static_cast<std::size_t>(state.id)], state).radius / kScale,
                   x = state.position.x / kScale, y = state.position.y / kScale;
      box.x0 = std::min(box.x0, static_cast<int>(std::floor((x - r) * (width - 1))));
      box.x1 = std::max(box.x1, static_cast<int>(std::ceil((x + r) * (width - 1))) + 1);
      box.y0 = std::min(box.y0, static_cast<int>(std::floor((1 - y - r) * (height - 1))));
      box.y1 = std::max(box.y1, static_cast<int>(std::ceil((1 - y + r) * (height - 1))) + 1);
    }
    for (int row = std::max(0, box.y0); row < std::min(height, box.y1); ++row) {
      for (int i = std::max(0, box.x0); i < std::min(width, box.x1); ++i) {
        std::array<double, 3> pixel = {255, 255, 255};
        for (const BodyState& state : truth.bodies) {
          if (state.visible > 0)
            blend(pixel, state, static_cast<double>(i) / (width - 1),
                  static_cast<double>(height - 1 - row) / (height - 1));
        }
        for (std::size_t c = 0; c < 3; ++c) frame.at(i, row)[c] = static_cast<std::uint8_t>(pixel[c]);
      }
    }
  }

  std::string caption(Random random) const override {
    return expand_one(
        scenario_ == Scenario::uniform ? kUniform : (scenario_ == Scenario::collision ? kCollision : kParabola), {},
        random);
  }

  std::vector<std::string_view> corruptions() const override {
    std::vector<std::string_view> kinds = {"sudden-stop"};
    if (gravity_.y != 0) kinds.insert(kinds.end(), {"gravity-off", "gravity-reversed", "gravity-doubled"});
    return kinds;
  }

  bool corrupt(std::string_view kind, int body, Random) override {
    if (kind == "sudden-stop") {
      balls_[static_cast<std::size_t>(body)]->SetLinearVelocity({0, 0});
      return true;
    }
    const double factor = kind == "gravity-off" ? 0 : (kind == "gravity-reversed" ? -1 : 2);
    if (kind.substr(0, 7) != "gravity") return false;
    world_->SetGravity({0, static_cast<float>(gravity_.y * factor)});
    return true;
  }

 private:
  struct PixelBox {
    int x0, y0, x1, y1;
  };

  void blend(std::array<double, 3>& pixel, const BodyState& state, double x, double y) const {
    const BodyInfo info = shown(bodies_[static_cast<std::size_t>(state.id)], state);
    const double dx = x - state.position.x / kScale, dy = y - state.position.y / kScale;
    double mask = 0;
    if (info.shape == Shape::disc) {
      const double square = info.radius / kScale * (info.radius / kScale);
      mask = std::clamp((square - (dx * dx + dy * dy)) / (square * 0.03), 0.0, 1.0);
    } else {
      mask = std::max(std::abs(dx), std::abs(dy)) < 0.5 * info.width / kScale ? 1 : 0;
    }
    if (mask <= 0) return;
    std::array<double, 3> colour = {info.colour == "red" ? 255.0 : 0.0, 0.0, info.colour == "blue" ? 255.0 : 0.0};
    if (info.colour != "red" && info.colour != "blue") {
      const Colour named = colour_of(info.colour);
      colour = {named.r, named.g, named.b};
    }
    for (std::size_t c = 0; c < 3; ++c) pixel[c] = (1 - mask) * pixel[c] + mask * colour[c];
  }

  void add(Vec2 position, double speed, double radius, const char* colour) {
    b2BodyDef def;
    def.type = b2_dynamicBody;
    def.position = {static_cast<float>(position.x), static_cast<float>(position.y)};
    def.linearVelocity = {static_cast<float>(speed), 0};
    b2CircleShape circle;
    circle.m_radius = static_cast<float>(radius);
    b2FixtureDef fixture;
    fixture.shape = &circle;
    fixture.density = 1;
    fixture.restitution = 1;
    b2Body* ball = world_->CreateBody(&def);
    ball->CreateFixture(&fixture);
    balls_.push_back(ball);
    BodyInfo info;
    info.id = static_cast<int>(bodies_.size());
    info.mass = ball->GetMass();
    info.inertia = ball->GetInertia();
    info.radius = radius;
    info.colour = colour;
    info.restitution = 1;
    info.friction = fixture.friction;
    bodies_.push_back(info);
  }

  void place_one(Parameters& p) {
    const double speed = p.draw("speed1", kSpeed, kSpeedOut), radius = p.draw("radius1", kRadius, kRadiusOut);
    double farthest = kScale - (kFramesInSight * speed * kFrame + radius);
    Random random = p.random("phyworld");
    if (farthest < radius) farthest = radius + random.uniform(0, 0.5);
    const double x = radius + (farthest - radius) * p.draw("place1", {0, 1});
    const bool thrown = scenario_ == Scenario::parabola;
    const double top = (1 - kEdge) * kScale - radius, bottom = thrown ? top - 1 : radius + kEdge * kScale;
    speed_[0] = speed;
    add({x, bottom + (top - bottom) * p.draw("height1", {0, 1})}, speed, radius, "red");
  }

  void place_two(Parameters& p) {
    const double v1 = p.draw("speed1", kSpeed, kSpeedOut), v2 = p.draw("speed2", kSpeed, kSpeedOut);
    const double r1 = p.draw("radius1", kPairRadius, kPairRadiusOut),
                 r2 = p.draw("radius2", kPairRadius, kPairRadiusOut);
    speed_ = {v1, v2};
    const double nearest = kFramesBefore * (v1 + v2) * kFrame + r1 + r2;
    double farthest = (kFrames - kFramesAfter) * kFrame * (v1 + v2) + r1 + r2;
    Random random = p.random("phyworld");
    double x1 = r1, x2 = kScale - r2;
    for (int attempt = 0; attempt < 50; ++attempt) {
      double low = r1, high = 0, apart = 0;
      if (r2 > 2 * r1) {
        farthest = std::min(nearest * 1.25, kScale - r1 - r2);
        apart = random.uniform(nearest, farthest);
        high = kScale - r2 - apart;
        low = high - kEdge * kScale;
      } else {
        farthest = std::min(farthest, kScale - r1 - r2);
        apart = random.uniform(nearest, farthest);
        high = kScale - r2 - apart;
      }
      x1 = std::max(random.uniform(low, high), r1);
      x2 = std::min(x1 + apart, kScale - r2);
      if (v1 + v2 <= 0 || (x2 - x1 - r1 - r2) / (v1 + v2) / kFrame >= kFramesBefore) break;
    }
    const double most = std::max(r1, r2), low = most + kEdge * kScale, high = (1 - kEdge) * kScale - most;
    const double y = low + (high - low) * p.draw("height1", {0, 1});
    add({x1, y}, v1, r1, "red");
    add({x2, y}, -v2, r2, "blue");
  }

  Scenario scenario_;
  std::unique_ptr<b2World> world_;
  std::vector<b2Body*> balls_;
  std::array<double, 2> speed_{};
  double clock_ = 0, done_ = 0;
};

SceneInfo row(std::string_view name, std::string_view description, Scenario scenario,
              const std::vector<std::string_view>& grammar) {
  return {name,
          description,
          [scenario](SceneContext& context) { return std::make_unique<PhyWorld>(context, scenario); },
          grammar,
          0,
          1 / kFrame,
          kFrames * kFrame};
}

}  // namespace

SceneInfo phyworld_uniform_scene() {
  return row("phyworld-uniform", "PhyWorld: a ball in uniform motion", Scenario::uniform, kUniform);
}
SceneInfo phyworld_collision_scene() {
  return row("phyworld-collision", "PhyWorld: two balls collide elastically in a line", Scenario::collision,
             kCollision);
}
SceneInfo phyworld_parabola_scene() {
  return row("phyworld-parabola", "PhyWorld: a ball thrown level under gravity", Scenario::parabola, kParabola);
}

WorldSpec phyworld_grid_spec(const std::string& scene, std::uint64_t index, int speeds, int radii, std::uint64_t seed) {
  ORRERY_CHECK(
      speeds >= 2 && radii >= 2 && index < static_cast<std::uint64_t>(speeds) * static_cast<std::uint64_t>(radii),
      "[worlds] clip ", index, " of a grid of ", speeds, " speeds and ", radii, " radii");
  ORRERY_CHECK(scene == "phyworld-uniform" || scene == "phyworld-parabola", "[worlds] no grid for scene ", scene);
  const auto at = [](Interval range, std::uint64_t i, int count) {
    return range.low + (range.high - range.low) * static_cast<double>(i) / (count - 1);
  };
  WorldSpec spec;
  spec.scene = scene;
  spec.seed = Random(seed, name_hash("phyworld-grid")).fork(index).next_u64() >> 11;
  spec.width = spec.height = 256;
  spec.fps = 1 / kFrame;
  spec.overrides["speed1"] = at(kSpeed, index % static_cast<std::uint64_t>(speeds), speeds);
  spec.overrides["radius1"] = at(kRadius, index / static_cast<std::uint64_t>(speeds), radii);
  return spec;
}

}  // namespace orrery::worlds
