#include "tests/bench/physics_measured.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <optional>

namespace orrery {

namespace {

std::optional<double> measured(const PhysicsScore& score, const std::string& name) {
  for (const LawResult& law : score.laws) {
    for (const Measured& one : law.measured) {
      if (one.name == name) return one.value;
    }
  }
  return std::nullopt;
}

void add(MeasuredErrors& errors, const std::string& name, const PhysicsScore& score, const std::string& quantity,
         double truth) {
  if (const std::optional<double> value = measured(score, quantity))
    errors[name].push_back(std::abs(*value - truth) / std::abs(truth));
}

// The momentum just before the first contact of two bodies, and the sum of the two sizes, in kg m/s; false without one.
bool before_contact(const worlds::WorldSpec& spec, int frames, worlds::Vec2& momentum, double& total) {
  worlds::World world(spec);
  for (int t = 1; t < frames; ++t) {
    momentum = world.truth().momentum, total = 0;
    for (const worlds::BodyState& body : world.truth().bodies)
      total += world.scene().bodies()[static_cast<std::size_t>(body.id)].mass * worlds::length(body.velocity);
    world.step();
    for (const worlds::ContactState& contact : world.truth().contacts) {
      if (contact.b >= 0) return true;
    }
  }
  return false;
}

}  // namespace

void add_measured_errors(const worlds::WorldSpec& spec, int frames, int height, const PhysicsScore& score,
                         MeasuredErrors& errors) {
  const worlds::World world(spec);
  const worlds::Annotations truth = world.describe();
  const double pixel = world.scene().view_height() / height, g = -truth.gravity.y;
  const auto parameter = [&](const char* name) { return truth.parameters.at(name); };
  if (g > 0) add(errors, "gravity", score, "acceleration_y", g / pixel);
  if (spec.scene == "bounce" || spec.scene == "throw")
    add(errors, "restitution", score, "restitution", parameter("restitution"));
  if (spec.scene == "pendulum") {
    const double rod = parameter("rod") * world.scene().view_height();
    add(errors, "pendulum period", score, "small_swing_period", 2 * std::numbers::pi * std::sqrt(rod / g));
  }
  if (spec.scene == "spring") add(errors, "spring period", score, "spring_period", 1 / parameter("frequency"));
  worlds::Vec2 momentum;
  double total = 0;
  if (spec.scene != "collide" || g > 0 || truth.bodies.size() != 2 || !before_contact(spec, frames, momentum, total))
    return;
  const std::optional<double> x = measured(score, "momentum_x"), y = measured(score, "momentum_y");
  // Masses are areas: one density, 1 kg/m².
  const double unit = 1 / (pixel * pixel * pixel);
  if (x && y) {
    errors["momentum"].push_back(std::hypot(*x - momentum.x * unit, *y + momentum.y * unit) / (total * unit));
  }
}

void print_measured_errors(const MeasuredErrors& errors) {
  for (const auto& [name, values] : errors) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double share) {
      return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
    std::printf("measured %-16s n %4zu  error: median %.4f  90%% %.4f\n", name.c_str(), sorted.size(), at(0.5),
                at(0.9));
  }
}

}  // namespace orrery
