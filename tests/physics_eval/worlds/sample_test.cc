// Sampling for training: repeatable from any thread, captions true, something to see until late.
#include "physics_eval/worlds/sample.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "physics_eval/worlds/captions.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::worlds;

TEST_CASE("a clip is the same in every thread and order", "[worlds]") {
  SampleOptions options;
  options.frames = 9;
  options.action_share = 0.5;
  constexpr std::uint64_t kCount = 24;
  std::vector<ClipSample> forward(kCount), backward(kCount);
  std::thread first([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) forward[i] = sample_clip(5, i, options);
  });
  std::thread second([&] {
    for (std::uint64_t i = kCount; i-- > 0;) backward[i] = sample_clip(5, i, options);
  });
  first.join(), second.join();
  std::set<std::string> scenes;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    CHECK(forward[i].frames == backward[i].frames);
    CHECK(forward[i].caption == backward[i].caption);
    CHECK(forward[i].actions == backward[i].actions);
    scenes.insert(forward[i].scene);
  }
  CHECK(scenes.size() > 2);
  CHECK(!(forward[0].frames == forward[1].frames));
  CHECK(!(sample_clip(6, 0, options).frames == forward[0].frames));
}

TEST_CASE("pushes fall where the options say and move what they meet", "[worlds]") {
  SampleOptions options;
  options.frames = 33;
  options.action_share = 1;
  options.action_gap = 8;
  int pushes = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const ClipSample sample = sample_clip(11, i, options);
    CHECK(sample.actions[0].push == Push::none);
    for (std::size_t f = 0; f < sample.actions.size(); ++f) {
      const Action& action = sample.actions[f];
      if (action.push == Push::none) continue;
      ++pushes;
      CHECK((f - 1) % 4 == 0);
      CHECK(std::abs(action.u * 8 - std::floor(action.u * 8) - 0.5) < 1e-9);
    }
  }
  CHECK(pushes > 60);

  WorldSpec spec;
  spec.overrides = {{"two", 0}, {"sideways1", 0}};
  World still(spec);
  spec.actions = parse_actions("3:push-right@0.5,0.5");
  World pushed(spec);
  for (int i = 0; i < 2; ++i) still.step(), pushed.step();
  CHECK(still.truth().bodies[0].velocity.x == pushed.truth().bodies[0].velocity.x);
  still.step(), pushed.step();
  CHECK(pushed.truth().bodies[0].velocity.x - still.truth().bodies[0].velocity.x == Approx(pushed.push_speed()));
}

TEST_CASE("actions are read, and bad ones named", "[worlds]") {
  const auto actions = parse_actions("24:push-right@0.5,0.7;48:push-up@0,1");
  REQUIRE(actions.size() == 2);
  CHECK(actions[1] == TimedAction{48, {Push::up, 0, 1}});
  for (const char* bad : {"push-up@0,1", "0:push-up@0,1", "3:fly@0,1", "3:push-up@0,7", "3:push-up@x,0", "3:push-up"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_actions(bad), InputError);
  }
}

TEST_CASE("a caption's colours, counts and directions are true of its clip", "[worlds]") {
  SampleOptions options;
  options.frames = 1;
  const auto words = caption_words();
  const std::set<std::string> known(words.begin(), words.end());
  std::set<std::string> used;
  const std::vector<std::string> counts = {"zero", "one", "two", "three", "four", "five"};
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const WorldSpec spec = sample_spec(3, i, options);
    World world(spec);
    const std::string caption = world.caption(i);
    CAPTURE(spec.scene, caption, spec.seed);
    const auto said = words_of(caption);
    const auto says = [&](const std::string& word) { return std::find(said.begin(), said.end(), word) != said.end(); };
    for (const std::string& word : said) {
      used.insert(word);
      REQUIRE(known.count(word) == 1);
    }
    const auto& bodies = world.scene().bodies();
    for (const NamedColour& colour : named_colours()) {
      const bool there =
          std::any_of(bodies.begin(), bodies.end(), [&](const BodyInfo& body) { return body.colour == colour.name; });
      if (says(std::string(colour.name))) CHECK(there);
    }
    for (std::size_t count = 2; count < counts.size(); ++count) {
      // The ball that runs into the blocks is not one of them.
      if (says(counts[count])) CHECK(bodies.size() == count + (says("blocks") ? 1 : 0));
    }
    const bool left = says("left") || says("leftwards"), right = says("right") || says("rightwards");
    CHECK_FALSE((left && right));
    // Down a slope it starts from rest.
    if (spec.scene == "ramp" && (left || right)) {
      while (world.frame() < 12) world.step();
    }
    if (left) CHECK(world.truth().bodies[0].velocity.x < 0);
    if (right) CHECK(world.truth().bodies[0].velocity.x > 0);
    if (bodies.size() == 1 && (says("small") || says("tiny") || says("little")))
      CHECK(bodies[0].radius < 0.09 * world.scene().view_height());
    if (bodies.size() == 1 && (says("big") || says("huge") || says("large")))
      CHECK(bodies[0].radius > 0.105 * world.scene().view_height());
    CHECK(caption.find("  ") == std::string::npos);
    CHECK(caption.find("a orange") == std::string::npos);
  }
  CHECK(used.size() > 60);
}

TEST_CASE("balls that are said to collide do so within three seconds", "[worlds]") {
  SampleOptions options;
  options.scenes = {"collide"};
  for (std::uint64_t i = 0; i < 200; ++i) {
    World world(sample_spec(9, i, options));
    bool met = false;
    while (world.frame() < 72 && !met) {
      world.step();
      for (const ContactState& contact : world.truth().contacts) met = met || contact.b >= 0;
    }
    CAPTURE(i, world.spec().seed);
    CHECK(met);
  }
}

TEST_CASE("something still moves after eight seconds in four clips of five", "[worlds]") {
  SampleOptions options;
  int moving = 0;
  constexpr int kClips = 200;
  for (std::uint64_t i = 0; i < kClips; ++i) {
    World world(sample_spec(4, i, options));
    while (world.frame() < 8 * 24) world.step();
    double speed = 0;
    // A pixel a second at 64² is 1/64 of the picture's height.
    for (const BodyState& body : world.truth().bodies)
      speed = std::max(speed, length(body.velocity) * 64 / world.scene().view_height());
    moving += speed > 2 ? 1 : 0;
  }
  CAPTURE(moving);
  CHECK(moving >= 0.8 * kClips);
}

TEST_CASE("balls start clear of each other and stay in the room", "[worlds]") {
  SampleOptions options;
  options.scenes = {"bounce", "throw", "roll", "collide"};
  for (const Split split : {Split::in_distribution, Split::out_of_distribution}) {
    options.split = split;
    for (std::uint64_t i = 0; i < 300; ++i) {
      World world(sample_spec(2, i, options));
      const auto& bodies = world.scene().bodies();
      const double height = world.scene().view_height();
      for (int frame = 0; frame < 24; ++frame) {
        const auto& states = world.truth().bodies;
        for (std::size_t a = 0; a < states.size(); ++a) {
          CAPTURE(i, world.spec().scene, world.spec().seed, frame, a);
          CHECK(states[a].visible == 1.0);
          CHECK(states[a].position.x > bodies[a].radius);
          CHECK(states[a].position.y < height - bodies[a].radius);
          for (std::size_t b = a + 1; b < states.size(); ++b) {
            CHECK(length(states[a].position - states[b].position) > bodies[a].radius + bodies[b].radius - 1e-5);
          }
        }
        world.step();
      }
    }
  }
}

TEST_CASE("unknown names and bad values are named", "[worlds]") {
  WorldSpec spec;
  spec.scene = "bonce";
  CHECK_THROWS_AS(World(spec), InputError);
  spec.scene = "bounce";
  spec.overrides = {{"gravitas", 1}};
  CHECK_THROWS_AS(World(spec), InputError);
  spec.overrides.clear();
  spec.colours = {"reddish"};
  CHECK_THROWS_AS(World(spec), InputError);
  spec.colours = {"white"};
  CHECK(World(spec).scene().bodies()[0].colour == "white");
  CHECK(World(spec).look().dark);
}

TEST_CASE("smooth backgrounds have no checkers and no edges", "[worlds]") {
  SampleOptions options;
  options.smooth_backgrounds = true;
  for (std::uint64_t index = 0; index < 40; ++index) {
    const Background background = World(sample_spec(3, index, options)).look().background;
    CHECK(background != Background::checker);
    CHECK(background != Background::two_tone);
  }
}

TEST_CASE("what the captions promise comes about: thrown up, hit, fallen over, down the slope", "[worlds]") {
  SampleOptions options;
  constexpr int kClips = 60;
  std::map<std::string, int> kept;
  for (const char* scene : {"seesaw", "stack", "dominoes", "ramp"}) {
    options.scenes = {scene};
    for (std::uint64_t i = 0; i < kClips; ++i) {
      World world(sample_spec(8, i, options));
      const auto start = world.truth().bodies;
      double risen = -1;
      bool hit = false;
      while (world.frame() < 72) {
        world.step();
        if (start.size() > 1) risen = std::max(risen, world.truth().bodies[1].position.y - start[1].position.y);
        for (const ContactState& contact : world.truth().contacts) hit = hit || (contact.a == 0 && contact.b > 0);
      }
      const auto& end = world.truth().bodies;
      const std::string name = scene;
      const bool good = name == "seesaw"     ? risen > world.scene().bodies()[1].radius
                        : name == "stack"    ? hit
                        : name == "dominoes" ? std::abs(end.back().angle) > 0.5
                                             : end[0].position.y < start[0].position.y - 0.1;
      CAPTURE(scene, i, world.spec().seed);
      kept[name] += good ? 1 : 0;
    }
  }
  for (const auto& [scene, count] : kept) {
    CAPTURE(scene, count);
    CHECK(count == kClips);
  }
}
