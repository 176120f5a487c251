#include "physics_eval/worlds/scenes/cradle.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/integrate.h"

namespace orrery::worlds {
namespace {

const std::vector<std::string_view> kTemplates = {
    "a newton's cradle (with $count $colour balls|swings|swinging|) (back and forth|)",
    "newton's cradle (with $count $colour balls|)", "$count $colour balls (swing|swinging) in a newton's cradle",
    "$count hanging $colour balls (knock|knocking|hit|hitting) (against|into) each other",
    "$count $colour balls on strings hit each other"};

class Cradle : public Scene {
 public:
  explicit Cradle(SceneContext& context) : look_(context.look) {
    Parameters& p = context.parameters;
    view_height_ = p.draw("view_height", {3.5, 4.5}, {{2.6, 3.2}, {5, 6.5}});
    gravity_ = {0, -p.draw("gravity", {5, 10}, {{1.5, 4}, {12, 18}})};
    const double width = view_height_ * context.aspect;
    room_ = {width, view_height_, view_height_ * p.draw("floor", {0.065, 0.11}), 0};
    const int count = p.draw_integer("count", 3, 5), lifted = p.draw_integer("lifted", 1, count > 3 ? 2 : 1);
    const double radius = view_height_ * p.draw("radius1", {0.0625, 0.072}, {{0.045, 0.06}});
    rod_ = view_height_ * p.draw("rod", {0.5, 0.58}, {{0.4, 0.48}});
    const double height = view_height_ * p.draw("pivot_y", {0.86, 0.92});
    // The outermost ball stays in the picture.
    const double room_aside = width / 2 - (count - 1) * radius - 1.15 * radius;
    const double angle = std::min(p.draw("angle", {20, 40}, {{10, 18}, {42, 50}}) * std::numbers::pi / 180,
                                  std::asin(std::min(1.0, room_aside / rod_)));
    const bool right = p.draw_flag("from_right", 0.5);
    // A hair apart, so that each impact is between two balls, as in the real thing.
    const double spacing = 2 * radius * 1.0005;
    for (int i = 0; i < count; ++i) {
      pivots_.push_back({width / 2 + (i - 0.5 * (count - 1)) * spacing, height});
      const bool up = right ? i >= count - lifted : i < lifted;
      balls_.push_back({up ? (right ? angle : -angle) : 0.0, 0.0});
      BodyInfo ball;
      ball.id = i;
      ball.radius = radius;
      ball.mass = std::numbers::pi * radius * radius;
      ball.restitution = 1;
      bodies_.push_back(ball);
    }
  }

  void advance(double seconds) override {
    constexpr double kLongest = 1.0 / 960;
    const int steps = std::max(1, static_cast<int>(std::ceil(seconds / kLongest - 1e-9)));
    const double pull = pull_ * gravity_.y / rod_;
    for (int step = 0; step < steps; ++step) {
      for (auto& ball : balls_) {
        integrate(ball, seconds / steps, kLongest, [pull](const std::array<double, 2>& s) {
          return std::array<double, 2>{s[1], pull * std::sin(s[0])};
        });
      }
      // An impact is passed along the row until no pair closes.
      bool again = touch_;
      for (int round = 0; again && round < 64; ++round) {
        again = false;
        for (std::size_t i = 0; i + 1 < balls_.size(); ++i) again = knock(i) || again;
      }
    }
  }

  void observe(FrameTruth& truth) override {
    truth.kinetic = truth.potential = 0;
    truth.momentum = {};
    for (std::size_t i = 0; i < balls_.size(); ++i) {
      const double mass = bodies_[i].mass;
      const Vec2 velocity = tangent(i) * (rod_ * balls_[i][1]);
      truth.bodies.push_back({static_cast<int>(i), place(i), velocity, balls_[i][0], balls_[i][1], 1.0});
      truth.kinetic += 0.5 * mass * dot(velocity, velocity);
      truth.potential += mass * -gravity_.y * rod_ * (1 - std::cos(balls_[i][0]));
      truth.momentum += velocity * mass;
    }
    truth.contacts = std::move(contacts_);
    contacts_.clear();
  }

  void push(Vec2 point, Vec2 change) override {
    std::size_t nearest = 0;
    for (std::size_t i = 1; i < balls_.size(); ++i) {
      if (length(place(i) - point) < length(place(nearest) - point)) nearest = i;
    }
    // Halved, so that the strings stay taut.
    balls_[nearest][1] += 0.5 * dot(change, tangent(nearest)) / rod_;
  }

  void paint_still(Canvas& canvas) const override {
    paint_room(canvas, room_, look_);
    const double r = 0.012 * view_height_, side = bodies_[0].radius;
    canvas.capsule(pivots_.front() - Vec2{side, 0}, pivots_.back() + Vec2{side, 0}, r, look_.line);
  }

  void paint(Canvas& canvas, const FrameTruth& truth) const override {
    for (const BodyState& ball : truth.bodies) {
      if (ball.visible > 0)
        canvas.capsule(pivots_[static_cast<std::size_t>(ball.id)], ball.position, 0.006 * view_height_, look_.line);
    }
    for (const BodyState& ball : truth.bodies)
      paint_body(canvas, bodies_[static_cast<std::size_t>(ball.id)], ball, look_);
  }

  int colour_group(int) const override { return 0; }

  std::string caption(Random random) const override {
    return expand_one(kTemplates,
                      {{"count", count_word(static_cast<int>(balls_.size()))}, {"colour", bodies_[0].colour}}, random);
  }

  std::vector<std::string_view> corruptions() const override {
    return {"gravity-off", "gravity-reversed", "gravity-doubled", "energy-gain",
            "momentum",    "pass-through",     "sudden-stop"};
  }

  bool corrupt(std::string_view kind, int body, Random) override {
    if (kind == "gravity-off") {
      pull_ = 0;
    } else if (kind == "gravity-reversed") {
      pull_ = -1;
    } else if (kind == "gravity-doubled") {
      pull_ = 2;
    } else if (kind == "energy-gain") {
      restitution_ = 1.3;
    } else if (kind == "momentum") {
      // What is hit goes nowhere.
      keeps_momentum_ = false;
    } else if (kind == "pass-through") {
      touch_ = false;
    } else if (kind == "sudden-stop") {
      balls_[static_cast<std::size_t>(body)][1] = 0;
    } else {
      return false;
    }
    return true;
  }

 private:
  Vec2 place(std::size_t i) const { return pivots_[i] + Vec2{std::sin(balls_[i][0]), -std::cos(balls_[i][0])} * rod_; }
  Vec2 tangent(std::size_t i) const { return {std::cos(balls_[i][0]), std::sin(balls_[i][0])}; }

  // An impact of ball i with its right neighbour, along the line between them; both can only move on their circles.
  bool knock(std::size_t i) {
    const Vec2 between = place(i + 1) - place(i);
    const double gap = length(between) - 2 * bodies_[i].radius;
    if (gap > 0) return false;
    const Vec2 normal = between / length(between);
    const double a = dot(tangent(i), normal) * rod_, b = dot(tangent(i + 1), normal) * rod_;
    const double closing = a * balls_[i][1] - b * balls_[i + 1][1];
    if (closing <= 1e-9) return false;
    const double inertia = bodies_[i].mass * rod_ * rod_;
    const double impulse = (1 + restitution_) * closing * inertia / (a * a + b * b);
    balls_[i][1] -= impulse * a / inertia;
    balls_[i + 1][1] += (keeps_momentum_ ? 1 : -0.6) * impulse * b / inertia;
    contacts_.push_back({static_cast<int>(i), static_cast<int>(i) + 1, impulse});
    return true;
  }

  Look look_;
  Room room_;
  std::vector<Vec2> pivots_;
  // Angle from hanging straight down and its rate, a ball.
  std::vector<std::array<double, 2>> balls_;
  std::vector<ContactState> contacts_;
  double rod_ = 1, pull_ = 1, restitution_ = 1;
  bool touch_ = true, keeps_momentum_ = true;
};

}  // namespace

SceneInfo cradle_scene() {
  return {"cradle", "Newton's cradle of three to five balls",
          [](SceneContext& context) { return std::make_unique<Cradle>(context); }, kTemplates, 0.6};
}

}  // namespace orrery::worlds
