#include "physics_eval/worlds/scenes/spring.h"

#include <cmath>
#include <numbers>

#include "physics_eval/worlds/captions.h"

namespace orrery::worlds {
namespace {

const std::vector<std::string_view> kHanging = {
    "$one (bobs|bounces|oscillates|is bobbing) (up and down|) on a spring",
    "$one (hangs|hanging) (on|from) a spring and (bobs|bobbing) up and down",
    "a spring with $one (bobbing|oscillating|) (up and down|)", "$noun on a spring"};
const std::vector<std::string_view> kLying = {
    "$one (oscillates|slides|is sliding) (back and forth|from side to side) on a spring",
    "a spring (pulls|moves) $one back and forth", "$noun on a spring",
    "$one on a spring (moves|oscillates) (back and forth|from side to side)"};

class Spring : public Scene {
 public:
  explicit Spring(SceneContext& context) : look_(context.look) {
    Parameters& p = context.parameters;
    view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
    const double width = view_height_ * context.aspect, wall = 0.03 * view_height_;
    gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
    hanging_ = p.draw_flag("hanging", 0.6);
    from_right_ = p.draw_flag("from_right", 0.5);
    const double floor = view_height_ * p.draw("floor", {0.065, 0.11});
    room_ = {width, view_height_, floor, wall};
    BodyInfo ball;
    ball.radius = view_height_ * p.draw("radius1", {0.07, 0.13}, {{0.045, 0.062}, {0.14, 0.16}});
    ball.mass = std::numbers::pi * ball.radius * ball.radius;
    ball.restitution = 1;
    bodies_ = {ball};
    rate_ = 2 * std::numbers::pi * p.draw("frequency", {0.5, 1.1}, {{0.25, 0.4}, {1.3, 1.8}});
    const double swing = view_height_ * p.draw("amplitude", {0.1, 0.2}, {{0.04, 0.08}, {0.21, 0.23}});
    place_ = p.draw_flag("stretched", 0.5) ? swing : -swing;
    if (hanging_) {
      const double across = width * p.draw("place", {0.35, 0.65});
      anchor_ = {across, view_height_ - wall};
      along_ = {0, -1};
      rest_ = anchor_ + along_ * (view_height_ * p.draw("length", {0.45, 0.5}));
    } else {
      const double y = floor + ball.radius;
      anchor_ = from_right_ ? Vec2{width - wall, y} : Vec2{wall, y};
      along_ = {from_right_ ? -1.0 : 1.0, 0};
      rest_ = anchor_ + along_ * (width * p.draw("length", {0.45, 0.55}));
    }
  }

  void advance(double seconds) override {
    // Harmonic motion, exactly; `growth_` makes a twin's swing grow.
    const double c = std::cos(rate_ * seconds), s = std::sin(rate_ * seconds), place = place_ - shift_;
    const double grow = std::exp(growth_ * seconds);
    place_ = shift_ + grow * (place * c + speed_ / rate_ * s);
    speed_ = grow * (speed_ * c - place * rate_ * s);
  }

  void observe(FrameTruth& truth) override {
    const double mass = bodies_[0].mass;
    truth.bodies.push_back({0, rest_ + along_ * place_, along_ * speed_, 0.0, 0.0, 1.0});
    truth.kinetic = 0.5 * mass * speed_ * speed_;
    // Spring and gravity together, from the rest position.
    truth.potential = 0.5 * mass * rate_ * rate_ * place_ * place_;
    truth.momentum = along_ * (speed_ * mass);
    truth.extra["stiffness"] = mass * rate_ * rate_;
  }

  // Halved: a full push would take a soft spring out of the room.
  void push(Vec2, Vec2 change) override { speed_ += 0.5 * dot(change, along_); }

  void paint_still(Canvas& canvas) const override { paint_room(canvas, room_, look_); }

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    const BodyState& ball = truth.bodies[0];
    if (ball.visible > 0)
      canvas.spring(anchor_, ball.position, 6, 0.035 * view_height_, 0.009 * view_height_, look_.line);
    paint_body(canvas, bodies_[0], ball, look_);
  }

  std::string caption(Random random) const override {
    const Subject subject = subject_of(bodies_[0], view_height_);
    return expand_one(hanging_ ? kHanging : kLying,
                      {{"one", noun_phrase(subject, random)}, {"noun", noun(subject, random)}}, random);
  }

  std::vector<std::string_view> corruptions() const override {
    std::vector<std::string_view> kinds = {"sudden-stop", "energy-gain"};
    if (hanging_) kinds.insert(kinds.end(), {"gravity-off", "gravity-reversed", "gravity-doubled"});
    return kinds;
  }

  bool corrupt(std::string_view kind, int, Random) override {
    // How far gravity stretches the spring.
    const double sag = -gravity_.y / (rate_ * rate_);
    if (kind == "gravity-off") {
      shift_ = -sag;
    } else if (kind == "gravity-reversed") {
      shift_ = -2 * sag;
    } else if (kind == "gravity-doubled") {
      shift_ = sag;
    } else if (kind == "sudden-stop") {
      speed_ = 0;
      shift_ = place_;  // and stays there, against the spring
    } else if (kind == "energy-gain") {
      growth_ = 0.4;
    } else {
      return false;
    }
    return true;
  }

 private:
  Look look_;
  Room room_;
  bool hanging_ = true, from_right_ = false;
  Vec2 anchor_, along_, rest_;
  // Displacement along the spring from the rest position, its speed, and the angular frequency.
  double place_ = 0, speed_ = 0, rate_ = 1;
  double shift_ = 0, growth_ = 0;
};

}  // namespace

SceneInfo spring_scene() {
  std::vector<std::string_view> grammar = kHanging;
  grammar.insert(grammar.end(), kLying.begin(), kLying.end());
  return {"spring", "a ball bobbing on a spring, hanging or lying",
          [](SceneContext& context) { return std::make_unique<Spring>(context); }, grammar, 0.8};
}

}  // namespace orrery::worlds
