// A column of water that is let go and runs through a tank.
#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/fluid/water_scene.h"

namespace orrery::worlds {

namespace {

const std::vector<std::string_view> kTemplates = {
    "(a|the) dam (breaks|bursts) and (the|) water (rushes|flows|floods|spreads) (out|across the tank|through the "
    "tank|)",
    "(a dam break|a dam breaking|water after a dam break)",
    "(a|one|the) (column|wall|block) of water (collapses|falls|breaks down) (and (splashes|sloshes) (about|in the "
    "tank|)|)",
    "water (rushes|flows|floods|sloshes) (across|through|along) (a|the) tank",
    "(a wave of water|a wave) (runs|rushes) (through|across) (a|the) tank",
    "water (sloshing|rushing|splashing) (in|through) (a|the) tank"};

class Dam : public WaterScene {
 public:
  explicit Dam(SceneContext& context) : WaterScene(context, true) {
    Parameters& p = context.parameters;
    const double width = room_.width - 2 * room_.wall;
    column_ = width * p.draw("column", {0.2, 0.42}, {{0.13, 0.18}, {0.5, 0.62}});
    height_ = view_height_ * p.draw("depth", {0.4, 0.72}, {{0.28, 0.36}, {0.78, 0.86}}) - room_.floor;
    right_ = p.draw_flag("from_right", 0.5);
    // A second, shallow layer that the wave runs into.
    const double bed = p.draw_flag("wet", 0.3) ? view_height_ * p.draw("bed", {0.03, 0.09}) : 0;
    gate_ = p.draw_flag("gate", 0.5) && bed == 0;
    const double hold = p.draw("hold", {0.1, 0.5});
    wait_ = gate_ ? hold : 0;
    solver_->fill(
        [&](Vec2 point) {
          const double from_side = right_ ? width - point.x : point.x;
          return (from_side < column_ && point.y < height_) || point.y < bed;
        },
        p.random("water").fork(0).next_u64());
    finish();
  }

  std::string caption(Random random) const override { return expand_one(kTemplates, {}, random); }

 protected:
  void drive(double seconds) override {
    // Let go at the first frame after the wait.
    wait_ -= seconds;
    if (wait_ < 0) lifted_ += seconds;
  }
  bool running() const override { return wait_ < 0; }

  void paint_more(Canvas& canvas) const override {
    if (!gate_) return;
    const double rise = lifted_ * 3 * view_height_, half = 0.012 * view_height_;
    const double x = origin_.x + (right_ ? room_.width - 2 * room_.wall - column_ - half : column_ + half);
    const double low = origin_.y + rise;
    if (low < room_.height) canvas.capsule({x, low}, {x, low + height_ + 0.08 * view_height_}, half, look_.line);
  }

 private:
  double column_ = 1, height_ = 1, wait_ = 0, lifted_ = 0;
  bool right_ = false, gate_ = false;
};

}  // namespace

SceneInfo dam_scene() {
  return {"dam", "a column of water that breaks through a tank",
          [](SceneContext& context) { return std::make_unique<Dam>(context); }, kTemplates, 0.7};
}

}  // namespace orrery::worlds
