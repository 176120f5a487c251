#include "physics_eval/worlds/scenes/pendulum.h"

#include <array>
#include <cmath>
#include <numbers>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/integrate.h"

namespace orrery::worlds {
namespace {

const std::vector<std::string_view> kTemplates = {
    "$one (swings|swings|is swinging) (back and forth|from side to side|on a (string|rod|rope)|)",
    "$one (hangs|hanging) on a (string|rod|rope) and (swings|swinging)",
    "a pendulum with $one",
    "a (swinging|) pendulum (with|,) $one",
    "$noun swinging (on a (string|rod|rope)|like a pendulum|)",
    "a $colour pendulum (swings|is swinging) (back and forth|from side to side|)"};

class Pendulum : public Scene {
 public:
  explicit Pendulum(SceneContext& context) : look_(context.look) {
    Parameters& p = context.parameters;
    constexpr double kDegree = std::numbers::pi / 180;
    view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
    gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
    room_ = {view_height_ * context.aspect, view_height_, view_height_ * p.draw("floor", {0.065, 0.11}), 0};
    pivot_ = {room_.width * p.draw("pivot_x", {0.42, 0.58}), view_height_ * p.draw("pivot_y", {0.84, 0.92})};
    rod_ = view_height_ * p.draw("rod", {0.42, 0.56}, {{0.28, 0.38}, {0.58, 0.62}});
    const double side = p.draw_flag("from_right", 0.5) ? 1 : -1;
    state_ = {side * p.draw("angle", {25, 65}, {{8, 20}, {70, 85}}) * kDegree, 0.0};
    BodyInfo bob;
    bob.radius = view_height_ * p.draw("radius1", {0.07, 0.13}, {{0.045, 0.062}, {0.14, 0.15}});
    bob.mass = std::numbers::pi * bob.radius * bob.radius;
    bob.restitution = 1;
    bodies_ = {bob};
  }

  void advance(double seconds) override {
    const double pull = pull_ * gravity_.y / rod_, growth = growth_;
    integrate(state_, seconds, 1.0 / 240, [pull, growth](const std::array<double, 2>& s) {
      return std::array<double, 2>{s[1], pull * std::sin(s[0]) + growth * s[1]};
    });
  }

  void observe(FrameTruth& truth) override {
    const double mass = bodies_[0].mass;
    const Vec2 out{std::sin(state_[0]), -std::cos(state_[0])};
    const Vec2 velocity = perpendicular(out) * (rod_ * state_[1]);
    truth.bodies.push_back({0, pivot_ + out * rod_, velocity, state_[0], state_[1], 1.0});
    truth.kinetic = 0.5 * mass * dot(velocity, velocity);
    // From the lowest point.
    truth.potential = mass * -gravity_.y * rod_ * (1 - std::cos(state_[0]));
    truth.momentum = velocity * mass;
  }

  void push(Vec2, Vec2 change) override {
    state_[1] += dot(change, Vec2{std::cos(state_[0]), std::sin(state_[0])}) / rod_;
  }

  void paint_still(Canvas& canvas) const override { paint_room(canvas, room_, look_); }

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    const BodyState& bob = truth.bodies[0];
    if (bob.visible > 0) canvas.capsule(pivot_, bob.position, 0.008 * view_height_, look_.line);
    canvas.disc(pivot_, 0.02 * view_height_, look_.line, 0);
    paint_body(canvas, bodies_[0], bob, look_);
  }

  std::vector<std::string_view> corruptions() const override {
    return {"gravity-off", "gravity-reversed", "gravity-doubled", "sudden-stop", "energy-gain"};
  }

  bool corrupt(std::string_view kind, int, Random) override {
    if (kind == "gravity-off") {
      pull_ = 0;
    } else if (kind == "gravity-reversed") {
      pull_ = -1;
    } else if (kind == "gravity-doubled") {
      pull_ = 2;
    } else if (kind == "sudden-stop") {
      state_[1] = 0;
    } else if (kind == "energy-gain") {
      // Negative friction: a swing grows by half in a second.
      growth_ = 0.8;
    } else {
      return false;
    }
    return true;
  }

  std::string caption(Random random) const override {
    const Subject subject = subject_of(bodies_[0], view_height_);
    return expand_one(
        kTemplates,
        {{"one", noun_phrase(subject, random)}, {"noun", noun(subject, random)}, {"colour", subject.colour}}, random);
  }

 private:
  Look look_;
  Room room_;
  Vec2 pivot_;
  double rod_ = 1;
  // Angle from hanging straight down (counter-clockwise) and its rate.
  std::array<double, 2> state_{};
  // Corrupted twins: gravity's factor, and a friction that adds energy (1/s).
  double pull_ = 1, growth_ = 0;
};

}  // namespace

SceneInfo pendulum_scene() {
  return {"pendulum", "a ball swinging on a stiff rod",
          [](SceneContext& context) { return std::make_unique<Pendulum>(context); }, kTemplates, 1};
}

}  // namespace orrery::worlds
