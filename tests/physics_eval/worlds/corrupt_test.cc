// Corrupted twins: lawful up to the frame named, observably unlawful after it, and honest about what cannot be seen.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "physics_eval/worlds/annotations_json.h"
#include "physics_eval/worlds/sample.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::worlds;

TEST_CASE("a twin is its original until the law breaks, and departs from it after", "[worlds]") {
  std::map<std::string, int> tried, seen;
  for (const SceneInfo& row : scene_registry()) {
    SampleOptions options;
    options.scenes = {std::string(row.name)};
    // Water takes a hundred times as long as a ball.
    const bool water = World(sample_spec(21, 0, options)).scene().bodies().back().shape == Shape::fluid;
    for (std::uint64_t index = 0; index < (water ? 1U : 3U); ++index) {
      WorldSpec spec = sample_spec(21, index, options);
      for (const std::string& kind : corruptions_of(spec)) {
        spec.corruption = CorruptionSpec{kind, 10};
        const CorruptionTruth truth = judge_corruption(spec, 48);
        CAPTURE(row.name, kind, spec.seed);
        ++tried[kind];
        seen[kind] += truth.observable ? 1 : 0;
        REQUIRE(truth.broken.size() == 48);
        CHECK(std::none_of(truth.broken.begin(), truth.broken.begin() + 10, [](bool broken) { return broken; }));
        CHECK(truth.departs == truth.broken.back());
        CHECK((truth.departs || !truth.observable));
        // The picture agrees: equal before, different once it is labelled broken.
        WorldSpec lawful = spec;
        lawful.corruption.reset();
        World a(lawful), b(spec);
        bool differs = false;
        for (int frame = 0; frame < 48; ++frame) {
          if (frame > 0) a.step(), b.step();
          if (kind != "appear" && frame == 9) CHECK(a.draw() == b.draw());
          if (frame > 9 && (frame % 6 == 0 || frame > 44)) differs = differs || !(a.draw() == b.draw());
        }
        if (truth.observable) CHECK((differs || kind == "appear"));
      }
    }
  }
  for (const auto& [kind, count] : tried) {
    CAPTURE(kind, count, seen[kind]);
    CHECK(seen[kind] > 0);
    // What always shows, shows always.
    const std::set<std::string> certain = {"vanish",      "appear",   "colour-change", "shape-change",
                                           "size-change", "teleport", "jitter"};
    if (certain.count(kind) != 0) CHECK(seen[kind] == count);
  }
}

TEST_CASE("what is lawful is not called broken", "[worlds]") {
  WorldSpec spec;
  SECTION("no gravity to switch off") {
    spec.scene = "roll";
    spec.overrides = {{"speed1", 0.3}, {"place1", 0.02}};
    spec.corruption = CorruptionSpec{"gravity-off", 10};
    // Until it meets the wall, rolling needs no gravity.
    CHECK_FALSE(judge_corruption(spec, 48).observable);
    // Reversed, the ball leaves the floor.
    spec.corruption->kind = "gravity-reversed";
    CHECK(judge_corruption(spec, 48).observable);
  }
  SECTION("a gravity that nothing fell by before") {
    // Hops that it takes off the wall are those of a ball that rolled under twice the gravity all along …
    spec.scene = "roll";
    spec.overrides = {{"speed1", 0.7}, {"place1", 0.4}, {"gravity", 5}, {"rolling", 0.0005}};
    spec.corruption = CorruptionSpec{"gravity-doubled", 6};
    CHECK_FALSE(judge_corruption(spec, 48).observable);
    // … a ball that was falling shows the change.
    spec.scene = "bounce";
    spec.overrides = {{"gravity", 5}, {"two", 0}};
    CHECK(judge_corruption(spec, 48).observable);
  }
  SECTION("a livelier ball that gains nothing overall") {
    spec.scene = "bounce";
    spec.overrides = {{"two", 0}, {"restitution", 0.5}, {"sideways1", 0}, {"drop1", 0.6}, {"gravity", 9}};
    spec.corruption = CorruptionSpec{"energy-gain", 40};
    CHECK_FALSE(judge_corruption(spec, 46).observable);
  }
  SECTION("a collision that never comes") {
    spec.scene = "collide";
    spec.corruption = CorruptionSpec{"momentum", 4};
    CHECK_FALSE(judge_corruption(spec, 6).observable);
  }
}

TEST_CASE("a break is observable where who does not know the original sees it", "[worlds]") {
  WorldSpec spec;
  SECTION("a spring that turns back where it turns anyhow") {
    spec.scene = "spring";
    const auto observable = [&](int frame) {
      spec.corruption = CorruptionSpec{"reversed-time", frame};
      return judge_corruption(spec, 48).observable;
    };
    // Somewhere in its swing it shows, at a turning point it does not.
    World world(spec);
    int slowest = 8, fastest = 8;
    std::vector<double> speed;
    for (int frame = 0; frame < 34; ++frame) {
      if (frame > 0) world.step();
      speed.push_back(length(world.truth().bodies[0].velocity));
    }
    for (int frame = 8; frame < 34; ++frame) {
      const auto at = [&](int f) { return speed[static_cast<std::size_t>(f)]; };
      if (at(frame - 1) + at(frame - 2) < at(slowest - 1) + at(slowest - 2)) slowest = frame;
      if (at(frame - 1) > at(fastest - 1)) fastest = frame;
    }
    CHECK(observable(fastest));
    CHECK_FALSE(observable(slowest));
  }
  SECTION("a ball that stops where it lands") {
    spec.scene = "bounce";
    spec.overrides = {{"two", 0}, {"restitution", 0.6}, {"sideways1", 0}, {"drop1", 0.9}, {"gravity", 9}};
    World world(spec);
    int landing = 0;
    while (landing < 40 && world.truth().contacts.empty()) world.step(), landing = world.frame();
    spec.corruption = CorruptionSpec{"sudden-stop", landing};
    CHECK(judge_corruption(spec, 48).departs);
    CHECK_FALSE(judge_corruption(spec, 48).observable);
    spec.corruption->frame = landing - 5;
    CHECK(judge_corruption(spec, 48).observable);
  }
  SECTION("a weight that water bears") {
    spec.scene = "float";
    spec.overrides = {{"start1", -0.3}};
    spec.corruption = CorruptionSpec{"gravity-doubled", 30};
    CHECK_FALSE(judge_corruption(spec, 46).observable);
    spec.corruption->kind = "gravity-reversed";
    CHECK(judge_corruption(spec, 46).observable);
  }
}

TEST_CASE("momentum is really lost and energy really gained", "[worlds]") {
  WorldSpec spec;
  spec.scene = "collide";
  spec.overrides = {{"table", 1}, {"count", 2}};
  spec.corruption = CorruptionSpec{"momentum", 1};
  World twin(spec);
  bool met = false;
  while (!met && twin.frame() < 100) {
    const Vec2 before = twin.truth().momentum;
    twin.step();
    const auto& contacts = twin.truth().contacts;
    met = contacts.size() == 1 && contacts[0].b >= 0;
    if (met) CHECK(length(twin.truth().momentum - before) > 0.1 * length(before));
  }
  CHECK(met);
}

TEST_CASE("unknown corruptions and impossible ones are named", "[worlds]") {
  WorldSpec spec;
  spec.corruption = CorruptionSpec{"gravity-tripled", 5};
  CHECK_THROWS_AS(World(spec), InputError);
  spec.corruption = CorruptionSpec{"volume", 5};
  CHECK_THROWS_AS(World(spec), InputError);
  spec.corruption = CorruptionSpec{"vanish", 0};
  CHECK_THROWS_AS(World(spec), InputError);
}

TEST_CASE("annotations survive JSON", "[worlds]") {
  WorldSpec spec;
  spec.scene = "collide";
  spec.corruption = CorruptionSpec{"colour-change", 2};
  World world(spec);
  Annotations all = world.describe();
  for (int frame = 0; frame < 4; ++frame) {
    if (frame > 0) world.step();
    all.frames.push_back(world.truth());
  }
  all.corruption = judge_corruption(spec, 4);
  const std::string text = to_json(all).dump();
  const Annotations back = annotations_from_json(Json::parse(text, "test"), "test");
  CHECK(to_json(back).dump() == text);
  CHECK(back.frames[3].bodies[0].position == all.frames[3].bodies[0].position);
  CHECK_THROWS_AS(annotations_from_json(Json::parse("{\"schema\": 2}", "test"), "test"), InputError);
  CHECK_THROWS_AS(annotations_from_json(Json::parse("[]", "test"), "test"), InputError);
}
