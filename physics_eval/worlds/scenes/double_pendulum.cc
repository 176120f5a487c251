#include "physics_eval/worlds/scenes/double_pendulum.h"

#include <array>
#include <cmath>
#include <numbers>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/integrate.h"

namespace orrery::worlds {
namespace {

const std::vector<std::string_view> kTemplates = {
    "a double pendulum with $group", "a double pendulum (swings|is swinging|tumbles) (wildly|chaotically|)",
    "$group (swing|swinging) (on two (rods|strings)|) as a double pendulum",
    "a double pendulum, $inner above $outer, (swings|is swinging)"};

class DoublePendulum : public Scene {
 public:
  explicit DoublePendulum(SceneContext& context) : look_(context.look) {
    Parameters& p = context.parameters;
    constexpr double kDegree = std::numbers::pi / 180;
    view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
    gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
    // Wherever it swings it stays in the picture.
    pivot_ = {view_height_ * context.aspect * 0.5, view_height_ * p.draw("pivot_y", {0.5, 0.54})};
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string label = std::to_string(i + 1);
      rod_[i] = view_height_ * p.draw("rod" + label, {0.15, 0.19}, {{0.12, 0.14}, {0.195, 0.2}});
      state_[i] = (p.draw_flag("from_right" + label, 0.5) ? 1 : -1) *
                  p.draw("angle" + label, {60, 150}, {{20, 50}, {155, 175}}) * kDegree;
      BodyInfo bob;
      bob.id = static_cast<int>(i);
      bob.radius = view_height_ * p.draw("radius" + label, {0.062, 0.085}, {{0.045, 0.055}});
      bob.mass = std::numbers::pi * bob.radius * bob.radius;
      bob.restitution = 1;
      bodies_.push_back(bob);
    }
  }

  void advance(double seconds) override {
    integrate(state_, seconds, 1.0 / 1920, [this](const std::array<double, 4>& s) { return rate(s); });
  }

  void observe(FrameTruth& truth) override {
    Vec2 at = pivot_, velocity;
    truth.kinetic = truth.potential = 0;
    truth.momentum = {};
    for (std::size_t i = 0; i < 2; ++i) {
      const Vec2 out{std::sin(state_[i]), -std::cos(state_[i])};
      at += out * rod_[i];
      velocity += perpendicular(out) * (rod_[i] * state_[i + 2]);
      const double mass = bodies_[i].mass;
      truth.bodies.push_back({static_cast<int>(i), at, velocity, state_[i], state_[i + 2], 1.0});
      truth.kinetic += 0.5 * mass * dot(velocity, velocity);
      // From where both hang lowest.
      truth.potential += mass * -gravity_.y * (at.y - (pivot_.y - rod_[0] - (i == 1 ? rod_[1] : 0)));
      truth.momentum += velocity * mass;
    }
  }

  void push(Vec2 point, Vec2 change) override {
    const Vec2 u1{std::cos(state_[0]), std::sin(state_[0])}, u2{std::cos(state_[1]), std::sin(state_[1])};
    const Vec2 first = pivot_ + Vec2{u1.y, -u1.x} * rod_[0], second = first + Vec2{u2.y, -u2.x} * rod_[1];
    const bool on_second = length(point - second) < length(point - first);
    // Generalised impulses, then the mass matrix's inverse.
    const double m1 = bodies_[0].mass, m2 = bodies_[1].mass;
    const Vec2 impulse = change * (on_second ? m2 : m1);
    const double q1 = rod_[0] * dot(u1, impulse), q2 = on_second ? rod_[1] * dot(u2, impulse) : 0.0;
    const double a = (m1 + m2) * rod_[0] * rod_[0], b = m2 * rod_[0] * rod_[1] * std::cos(state_[0] - state_[1]),
                 c = m2 * rod_[1] * rod_[1];
    const double determinant = a * c - b * b;
    state_[2] += (c * q1 - b * q2) / determinant;
    state_[3] += (a * q2 - b * q1) / determinant;
  }

  void paint_still(Canvas&) const override {}

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    Vec2 from = pivot_;
    for (const BodyState& bob : truth.bodies) {
      if (bob.visible <= 0) break;
      canvas.capsule(from, bob.position, 0.008 * view_height_, look_.line);
      from = bob.position;
    }
    canvas.disc(pivot_, 0.02 * view_height_, look_.line, 0);
    for (const BodyState& bob : truth.bodies) paint_body(canvas, bodies_[static_cast<std::size_t>(bob.id)], bob, look_);
  }

  std::string caption(Random random) const override {
    const Subject inner = subject_of(bodies_[0], view_height_), outer = subject_of(bodies_[1], view_height_);
    return expand_one(kTemplates,
                      {{"group", group_phrase({inner, outer}, random)},
                       {"inner", noun_phrase({inner.colour}, random)},
                       {"outer", noun_phrase({outer.colour}, random)}},
                      random);
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
      state_[2] = state_[3] = 0;
    } else if (kind == "energy-gain") {
      growth_ = 0.8;
    } else {
      return false;
    }
    return true;
  }

 private:
  // d/dt of (θ₁, θ₂, ω₁, ω₂); Lagrange's equations for two point masses.
  std::array<double, 4> rate(const std::array<double, 4>& s) const {
    const double g = -gravity_.y * pull_, m1 = bodies_[0].mass, m2 = bodies_[1].mass, l1 = rod_[0], l2 = rod_[1];
    const double delta = s[0] - s[1], c = std::cos(delta), sine = std::sin(delta);
    const double f1 = -m2 * l2 * s[3] * s[3] * sine - (m1 + m2) * g * std::sin(s[0]);
    const double f2 = m2 * l1 * s[2] * s[2] * sine - m2 * g * std::sin(s[1]);
    const double a = (m1 + m2) * l1, b = m2 * l2 * c, d = m2 * l1 * c, e = m2 * l2;
    const double determinant = a * e - b * d;
    return {s[2], s[3], (e * f1 - b * f2) / determinant + growth_ * s[2],
            (a * f2 - d * f1) / determinant + growth_ * s[3]};
  }

  Look look_;
  Vec2 pivot_;
  std::array<double, 2> rod_{};
  std::array<double, 4> state_{};
  double pull_ = 1, growth_ = 0;
};

}  // namespace

SceneInfo double_pendulum_scene() {
  return {"double-pendulum", "two balls on two rods, one below the other",
          [](SceneContext& context) { return std::make_unique<DoublePendulum>(context); }, kTemplates, 0.6};
}

}  // namespace orrery::worlds
