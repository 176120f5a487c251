// A box or a ball in a tank of water: it falls in or comes up, bobs, and floats.
#include <algorithm>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/fluid/water_scene.h"

namespace orrery::worlds {

namespace {

constexpr std::string_view kBoxNoun = "(box|box|block|crate)";
const std::vector<std::string_view> kFloats = {
    "$one (floats|floats|is floating) (on|in) (the|) water",
    "$one (bobs|is bobbing) (up and down|) (on|in) (the|) water", "$noun floating (on|in) (the|) water",
    "(a|the) (floating|bobbing) $noun (in (a|the) tank of water|on (the|) water)"};
const std::vector<std::string_view> kFalls = {
    "$one (falls|drops|is dropped|splashes) into (the|) water (and (floats|bobs)|)",
    "$one is dropped into (a tank of water|a tank) and floats", "$noun (falling|dropping) into (the|) water"};
const std::vector<std::string_view> kRises = {
    "$one (rises|comes up|pops up) (out of|through) (the|) water (and (floats|bobs)|)",
    "$one (rises|comes up) to the surface (of the water|)"};

class Floating : public WaterScene {
 public:
  explicit Floating(SceneContext& context) : WaterScene(context, true) {
    Parameters& p = context.parameters;
    const double width = room_.width - 2 * room_.wall;
    const double level = view_height_ * p.draw("level", {0.4, 0.55}, {{0.28, 0.36}, {0.6, 0.66}}) - room_.floor;
    fluid::Body body;
    body.shape = p.draw_flag("ball", 0.5) ? fluid::BodyShape::disc : fluid::BodyShape::box;
    const double size = view_height_ * p.draw("radius1", {0.08, 0.13}, {{0.055, 0.072}, {0.14, 0.16}});
    const double flat = p.draw("flat1", {0.5, 1});
    body.half = {size, body.shape == fluid::BodyShape::disc ? size : size * flat};
    body.density = p.draw("density1", {0.3, 0.75}, {{0.12, 0.25}, {0.8, 0.92}});
    body.restitution = 0.2;
    body.angle = p.draw("angle1", {-0.4, 0.4}, {{-0.8, -0.5}, {0.5, 0.8}});
    const double reach = length(body.half);
    const double ceiling = view_height_ - room_.floor - reach;
    // From under water (-1) to high above it (1), by the height of its lowest point; never where it would hardly move.
    const double draw = p.draw("start1", {-1, 1});
    const double start = draw < 0 ? -0.35 + 0.55 * draw : 0.12 + 0.88 * draw;
    const double highest = std::max(level + reach, ceiling);
    const double y = start >= 0 ? level + reach + start * (highest - level - reach)
                                : level + reach + start * (level - 0.05 * view_height_);
    body.position = {reach + (width - 2 * reach) * p.draw("place1", {0.15, 0.85}), std::clamp(y, 1.1 * reach, highest)};
    const bool ball = body.shape == fluid::BodyShape::disc;
    falls_ = body.position.y > level + 1.2 * reach;
    rises_ = body.position.y < level - 1.2 * reach;
    subject_.noun = ball ? Subject{}.noun : kBoxNoun;
    subject_.size = size < 0.09 * view_height_ ? -1 : (size > 0.12 * view_height_ ? 1 : 0);
    solver_->add_body(body);
    solver_->fill([level](Vec2 point) { return point.y < level; }, p.random("water").fork(0).next_u64());
    finish();
  }

  std::string caption(Random random) const override {
    Subject subject = subject_;
    subject.colour = bodies_[0].colour;
    const Slots slots = {{"one", noun_phrase(subject, random)}, {"noun", noun(subject, random)}};
    if (falls_ && random.chance(0.6)) return expand_one(kFalls, slots, random);
    if (rises_ && random.chance(0.6)) return expand_one(kRises, slots, random);
    return expand_one(kFloats, slots, random);
  }

 private:
  Subject subject_;
  bool falls_ = false, rises_ = false;
};

std::vector<std::string_view> all_templates() {
  std::vector<std::string_view> all = {kBoxNoun};
  for (const auto* list : {&kFloats, &kFalls, &kRises}) all.insert(all.end(), list->begin(), list->end());
  return all;
}

}  // namespace

SceneInfo float_scene() {
  return {"float", "a box or a ball floating in a tank of water",
          [](SceneContext& context) { return std::make_unique<Floating>(context); }, all_templates(), 0.7};
}

}  // namespace orrery::worlds
