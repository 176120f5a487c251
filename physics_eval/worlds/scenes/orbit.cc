#include "physics_eval/worlds/scenes/orbit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/integrate.h"

namespace orrery::worlds {
namespace {

const std::vector<std::string_view> kTemplates = {"$planet (orbits|orbits|circles|is orbiting) (around|) $star",
                                                  "$planet (moves|goes|travels) around $star",
                                                  "$planet in orbit around $star", "$planetnoun orbiting $star"};

class Orbit : public Scene {
 public:
  explicit Orbit(SceneContext& context) : look_(context.look) {
    Parameters& p = context.parameters;
    view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
    const double least = view_height_ * std::min(1.0, context.aspect);
    centre_ = {view_height_ * context.aspect * 0.5, view_height_ * 0.5};
    const double farthest = least * p.draw("farthest", {0.33, 0.42}, {{0.28, 0.32}});
    const double eccentricity = p.draw("eccentricity", {0, 0.28}, {{0.3, 0.35}});
    const double period = p.draw("period", {2.2, 4.5}, {{1.3, 2}, {5, 8}});
    const double major = farthest / (1 + eccentricity);
    strength_ = 4 * std::numbers::pi * std::numbers::pi * major * major * major / (period * period);
    const double angle = p.draw("angle", {0, 2 * std::numbers::pi}), turn = p.draw_flag("clockwise", 0.5) ? -1 : 1;
    // Starts at the far end, where the speed is √(GM/a · (1 − e)/(1 + e)).
    const double speed = std::sqrt(strength_ / major * (1 - eccentricity) / (1 + eccentricity));
    const Vec2 out{std::cos(angle), std::sin(angle)};
    state_ = {out.x * farthest, out.y * farthest, -turn * speed * out.y, turn * speed * out.x};
    BodyInfo planet, star;
    planet.radius = least * p.draw("radius1", {0.0625, 0.075}, {{0.045, 0.055}});
    planet.mass = std::numbers::pi * planet.radius * planet.radius;
    planet.restitution = star.restitution = 1;
    star.id = 1;
    star.radius = least * p.draw("radius2", {0.0625, 0.08}, {{0.05, 0.06}});
    star.mass = 1e4 * planet.mass;  // as good as fixed
    bodies_ = {planet, star};
  }

  void advance(double seconds) override {
    const double strength = strength_ * pull_, growth = growth_;
    integrate(state_, seconds, 1.0 / 960, [strength, growth](const std::array<double, 4>& s) {
      const double square = s[0] * s[0] + s[1] * s[1], fall = -strength / (square * std::sqrt(square));
      return std::array<double, 4>{s[2], s[3], fall * s[0] + growth * s[2], fall * s[1] + growth * s[3]};
    });
    // A pushed planet that meets the star bounces off.
    const Vec2 place{state_[0], state_[1]}, velocity{state_[2], state_[3]};
    const double gap = length(place) - bodies_[0].radius - bodies_[1].radius;
    const Vec2 normal = place / length(place);
    if (gap < 0 && dot(velocity, normal) < 0) {
      const Vec2 after = velocity - normal * (2 * dot(velocity, normal));
      state_[2] = after.x, state_[3] = after.y;
      contact_ = 2 * bodies_[0].mass * -dot(velocity, normal);
    }
  }

  void observe(FrameTruth& truth) override {
    const Vec2 place{state_[0], state_[1]}, velocity{state_[2], state_[3]};
    const double mass = bodies_[0].mass;
    truth.bodies.push_back({0, centre_ + place, velocity, 0.0, 0.0, 1.0});
    truth.bodies.push_back({1, centre_, {}, 0.0, 0.0, 1.0});
    if (contact_ > 0) truth.contacts.push_back({0, 1, contact_});
    contact_ = 0;
    truth.kinetic = 0.5 * mass * dot(velocity, velocity);
    truth.potential = -mass * strength_ / length(place);
    truth.momentum = velocity * mass;
    truth.extra["gravitational_parameter"] = strength_;
  }

  // A full push would leave the picture for ever.
  void push(Vec2, Vec2 change) override { state_[2] += 0.15 * change.x, state_[3] += 0.15 * change.y; }

  void paint_still(Canvas&) const override {}

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    for (std::size_t i = truth.bodies.size(); i-- > 0;) paint_body(canvas, bodies_[i], truth.bodies[i], look_);
  }

  std::string caption(Random random) const override {
    const Subject planet{bodies_[0].colour}, star{bodies_[1].colour};
    return expand_one(kTemplates,
                      {{"planet", noun_phrase(planet, random)},
                       {"planetnoun", noun(planet, random)},
                       {"star", noun_phrase(star, random)}},
                      random);
  }

  std::vector<std::string_view> corruptions() const override {
    return {"gravity-off", "gravity-reversed", "gravity-doubled", "energy-gain"};
  }

  bool corrupt(std::string_view kind, int, Random) override {
    if (kind == "gravity-off") {
      pull_ = 0;
    } else if (kind == "gravity-reversed") {
      pull_ = -1;
    } else if (kind == "gravity-doubled") {
      pull_ = 2;
    } else if (kind == "energy-gain") {
      growth_ = 0.3;
    } else {
      return false;
    }
    return true;
  }

 private:
  Look look_;
  Vec2 centre_;
  // Place and velocity against the centre; GM in m³/s².
  std::array<double, 4> state_{};
  double strength_ = 1, contact_ = 0;
  double pull_ = 1, growth_ = 0;
};

}  // namespace

SceneInfo orbit_scene() {
  return {"orbit", "a ball in orbit around a fixed one",
          [](SceneContext& context) { return std::make_unique<Orbit>(context); }, kTemplates, 0.8};
}

}  // namespace orrery::worlds
