// The three scenes with water, over their whole ranges: mass, volume drawn, what the annotations say, pushes, twins.
#include <cmath>
#include <map>
#include <string>

#include "physics_eval/worlds/fluid/water_scene.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::worlds;

namespace {

WorldSpec spec_of(const char* scene, std::uint64_t seed, Split split = Split::in_distribution) {
  WorldSpec spec;
  spec.scene = scene;
  spec.seed = seed;
  spec.split = split;
  return spec;
}

const BodyState& water_of(const World& world) { return world.truth().bodies.back(); }

}  // namespace

TEST_CASE("water scenes are sound over their ranges for ten seconds", "[fluid]") {
  for (const char* scene : {"pour", "dam", "float"})
    for (const Split split : {Split::in_distribution, Split::out_of_distribution})
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        World world(spec_of(scene, seed, split));
        const auto& solver = dynamic_cast<const WaterScene&>(world.scene()).solver();
        const std::size_t count = solver.particles().size();
        const double volume = world.truth().extra.at("volume"), energy = world.truth().energy();
        CAPTURE(scene, seed, split == Split::in_distribution);
        REQUIRE(count > 100);
        // The jug turns about its lip and so lifts its water by its own size at most.
        const double tilting =
            std::string(scene) == "pour"
                ? world.scene().bodies().back().mass * -world.scene().gravity().y * 0.3 * world.scene().view_height()
                : 0.0;
        for (int frame = 0; frame < 240; ++frame) {
          world.step();
          const FrameTruth& truth = world.truth();
          // Mass to the last bit, and with it the volume.
          REQUIRE(solver.particles().size() == count);
          REQUIRE(truth.extra.at("volume") == volume);
          for (const BodyState& body : truth.bodies) {
            REQUIRE(std::isfinite(body.position.x + body.position.y + body.velocity.x + body.velocity.y + body.angle));
            REQUIRE(body.position.x > 0);
            REQUIRE(body.position.x < world.scene().view_height());
            REQUIRE(body.position.y > 0);
          }
          // Energy never grows, but by what a hand that tilts a jug puts in.
          CHECK(truth.energy() < 1.01 * energy + tilting);
          if (frame % 48 == 0) CHECK(solver.crowding() < 0.15);
        }
      }
}

TEST_CASE("drawn water keeps its area in the tank", "[fluid]") {
  WorldSpec spec = spec_of("dam", 5);
  spec.overrides = {{"gate", 0}, {"wet", 0}, {"column", 0.35}, {"depth", 0.55}};
  spec.width = spec.height = 128;
  World world(spec);
  const auto& scene = dynamic_cast<const WaterScene&>(world.scene());
  const Vec2 origin = scene.origin();
  const double volume = world.truth().extra.at("volume"), pixel = world.metres_per_pixel();
  for (int frame = 0; frame < 120; ++frame) {
    world.step();
    if (frame % 10 != 0) continue;
    // What splashes above the picture is not in it.
    double seen = 0;
    for (const auto& particle : scene.solver().particles())
      seen += particle.position.y + origin.y < world.scene().view_height();
    seen *= volume / static_cast<double>(scene.solver().particles().size());
    const fluid::View view{128, 128, pixel, Vec2{} - origin};
    const fluid::Surface surface = fluid::draw_surface(scene.solver(), view);
    double area = 0;
    for (int y = 0; y < 128; ++y)
      for (int x = 0; x < 128; ++x) {
        const double wx = (x + 0.5) * pixel, wy = (128 - y - 0.5) * pixel;
        if (wx > origin.x && wx < world.scene().view_height() - origin.x && wy > origin.y)
          area += double{surface.at(x, y)};
      }
    INFO("frame " << frame);
    CHECK(area * pixel * pixel == Approx(seen).epsilon(0.04));
  }
}

TEST_CASE("water is poured from the jug into the glass", "[fluid]") {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    WorldSpec spec = spec_of("pour", seed);
    spec.overrides = {{"wet", 0}};
    World world(spec);
    const double start = water_of(world).position.y;
    while (world.frame() < 240) world.step();
    const auto& scene = dynamic_cast<const WaterScene&>(world.scene());
    const fluid::Vessel& glass = scene.solver().vessels()[1];
    const double low = std::min(glass.walls[0].a.x, glass.walls[2].a.x),
                 high = std::max(glass.walls[0].a.x, glass.walls[2].a.x);
    double inside = 0, out_of_jug = 0;
    for (const auto& particle : scene.solver().particles()) {
      const bool below = particle.position.y < glass.walls[0].a.y;
      inside += below && particle.position.x > low && particle.position.x < high;
      out_of_jug += below;
    }
    CAPTURE(seed);
    CHECK(water_of(world).position.y < start);
    CHECK(out_of_jug > 0.6 * static_cast<double>(scene.solver().particles().size()));
    CHECK(inside > 0.85 * out_of_jug);
  }
}

TEST_CASE("a floating body comes to rest at Archimedes' depth in its scene", "[fluid]") {
  WorldSpec spec = spec_of("float", 3);
  spec.overrides = {{"ball", 0},     {"flat1", 0.5}, {"radius1", 0.13}, {"density1", 0.5},
                    {"start1", 0.5}, {"angle1", 0},  {"place1", 0.5}};
  World world(spec);
  const BodyInfo box = world.scene().bodies()[0];
  const auto& scene = dynamic_cast<const WaterScene&>(world.scene());
  while (world.frame() < 20 * 24) world.step();
  double height = 0;
  for (int frame = 0; frame < 240; ++frame) {
    world.step();
    height += world.truth().bodies[0].position.y / 240;
  }
  const double width = world.scene().view_height() - 2 * scene.origin().x;
  const double level =
      scene.origin().y + (world.truth().extra.at("volume") + box.mass) / width;  // water's density is 1
  // Half sunk: its centre lies at the level.
  CHECK(std::abs(height - level) < 0.03 * box.height);
}

TEST_CASE("a push moves the body or the water that is nearest to it", "[fluid]") {
  WorldSpec spec = spec_of("float", 7);
  spec.overrides = {{"start1", 1}, {"place1", 0.5}};
  World plain(spec);
  const BodyState body = plain.truth().bodies[0];
  const double extent = 64 * plain.metres_per_pixel();
  spec.actions = {{1, {Push::right, body.position.x / extent, 1 - body.position.y / extent}}};
  World pushed(spec);
  plain.step(), pushed.step();
  CHECK(pushed.truth().bodies[0].velocity.x - plain.truth().bodies[0].velocity.x ==
        Approx(pushed.push_speed()).epsilon(1e-9));
  spec.actions = {{1, {Push::right, 0.5, 0.97}}};
  World stirred(spec);
  stirred.step();
  CHECK(stirred.truth().bodies[0].velocity.x == plain.truth().bodies[0].velocity.x);
  CHECK(stirred.truth().momentum.x > 0.001 * stirred.scene().bodies().back().mass);
}

TEST_CASE("twins of water say what they do", "[fluid]") {
  const auto after = [](const char* kind, int frames) {
    WorldSpec spec = spec_of("dam", 11);
    spec.overrides = {{"gate", 0}};
    spec.corruption = CorruptionSpec{kind, 12};
    World world(spec);
    while (world.frame() < frames) world.step();
    return world;
  };
  const World lawful = [] {
    WorldSpec spec = spec_of("dam", 11);
    spec.overrides = {{"gate", 0}};
    World world(spec);
    while (world.frame() < 48) world.step();
    return world;
  }();
  CHECK(after("volume", 48).truth().extra.at("volume") > 1.4 * lawful.truth().extra.at("volume"));
  CHECK(water_of(after("gravity-reversed", 48)).position.y >
        water_of(lawful).position.y + 0.25 * lawful.scene().view_height());
  CHECK(water_of(after("vanish", 13)).visible == 0);
  // Backwards: frame 13 shows what frame 9 showed, to the pixel.
  WorldSpec spec = spec_of("dam", 11);
  spec.overrides = {{"gate", 0}};
  World forward(spec);
  while (forward.frame() < 9) forward.step();
  CHECK(after("reversed-time", 13).draw() == forward.draw());
}
