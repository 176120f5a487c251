// A jug tilts about its lip and pours into a glass below.
#include <algorithm>
#include <numbers>

#include "physics_eval/worlds/captions.h"
#include "physics_eval/worlds/fluid/water_scene.h"

namespace orrery::worlds {

namespace {

constexpr std::string_view kJug = "(jug|pitcher|cup)", kGlass = "(glass|container|bowl)";
const std::vector<std::string_view> kTemplates = {
    "water is poured (from a $jug|out of a $jug|) into a $glass",
    "(a|the) $jug (tips|tilts) and pours water into (a|the) $glass",
    "pouring water (from a $jug|) into a $glass",
    "water (pours|flows|runs) (from|out of) (a|the) $jug into (a|the) $glass",
    "water (fills|is filling) (a|the) $glass",
    "(a|the) $glass (is filled|fills) with water"};

class Pour : public WaterScene {
 public:
  explicit Pour(SceneContext& context) : WaterScene(context, false) {
    Parameters& p = context.parameters;
    // All lengths in a square of the picture's height, or its width where that is less, in the middle.
    const double s = std::min(view_height_, room_.width), left = (room_.width - s) / 2, t = 1.05 * cell_;
    const bool mirrored = p.draw_flag("from_right", 0.5);
    const auto at = [&](double x, double y) {
      const double across = left + x;
      return Vec2{mirrored ? room_.width - across : across, y};
    };
    const double wide = s * p.draw("jug_width", {0.24, 0.3}, {{0.17, 0.21}, {0.31, 0.34}});
    const double high = s * p.draw("jug_height", {0.22, 0.27}, {{0.17, 0.2}, {0.28, 0.3}});
    const double full = p.draw("jug_full", {0.65, 0.9}, {{0.4, 0.55}});
    const double lip_x = s * 0.41, lip_y = s * p.draw("lip", {0.62, 0.66}) - room_.floor;
    fluid::Vessel jug;
    jug.pivot = at(lip_x, lip_y);
    jug.walls = {{at(lip_x, lip_y), at(lip_x, lip_y - high), t},
                 {at(lip_x, lip_y - high), at(lip_x - wide, lip_y - high), t},
                 {at(lip_x - wide, lip_y - high), at(lip_x - wide, lip_y + 0.02 * s), t}};
    const double glass_left = lip_x - s * p.draw("glass_left", {0.04, 0.1});
    const double glass_right = lip_x + s * p.draw("glass_right", {0.43, 0.5});
    const double glass_high = s * p.draw("glass_height", {0.24, 0.29});
    fluid::Vessel glass;
    glass.walls = {{at(glass_left, glass_high), at(glass_left, t), t},
                   {at(glass_left, t), at(glass_right, t), t},
                   {at(glass_right, t), at(glass_right, glass_high), t}};
    solver_->add_vessel(jug);
    solver_->add_vessel(glass);
    const double bed = p.draw_flag("wet", 0.4) ? 2 * t + s * p.draw("bed", {0.02, 0.08}) : 0;
    solver_->fill(
        [&](Vec2 point) {
          const double x = (mirrored ? room_.width - point.x : point.x) - left;
          const bool in_jug =
              x > lip_x - wide && x < lip_x && point.y > lip_y - high && point.y < lip_y - high * (1 - full);
          return in_jug || (x > glass_left && x < glass_right && point.y < bed);
        },
        p.random("water").fork(0).next_u64());
    constexpr double kDegree = std::numbers::pi / 180;
    rate_ = kDegree * p.draw("tilt_rate", {14, 32}, {{8, 12}, {40, 60}}) * (mirrored ? 1 : -1);
    most_ = kDegree * p.draw("tilt", {82, 105});
    wait_ = p.draw("hold", {0.1, 0.5});
    finish();
  }

  std::string caption(Random random) const override {
    const Slots slots = {{"jug", expand(kJug, {}, random)}, {"glass", expand(kGlass, {}, random)}};
    return expand_one(kTemplates, slots, random);
  }

 protected:
  void drive(double seconds) override {
    wait_ -= seconds;
    fluid::Vessel& jug = solver_->vessels()[0];
    jug.omega = wait_ > 0 || std::abs(jug.angle) >= most_ ? 0 : rate_;
  }

 private:
  double rate_ = 0, most_ = 0, wait_ = 0;
};

}  // namespace

SceneInfo pour_scene() {
  std::vector<std::string_view> all = kTemplates;
  all.push_back(kJug);
  all.push_back(kGlass);
  return {"pour", "water poured from a jug into a glass",
          [](SceneContext& context) { return std::make_unique<Pour>(context); }, all, 0.7};
}

}  // namespace orrery::worlds
