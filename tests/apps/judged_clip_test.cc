// A clip of several goes a second: what the judge prefers, and that nothing but model and spec decides.
#include "apps/pipeline/judged_clip.h"

#include <algorithm>
#include <mutex>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "physics_eval/worlds/sample.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

std::vector<std::int32_t> judged_codes(const LoadedModel& model, const ClipSpec& spec) {
  JudgedClip clip(model, spec);
  std::vector<std::int32_t> codes;
  std::size_t frames = 0;
  while (!clip.done()) {
    const JudgedClip::Stretch stretch = clip.next();
    codes.insert(codes.end(), stretch.codes.begin(), stretch.codes.end());
    frames += stretch.frames.size();
  }
  CHECK(static_cast<std::int64_t>(frames) == decoded_frames(model.codec().config(), clip.latents_done()));
  return codes;
}

std::vector<std::int32_t> plain_codes(const LoadedModel& model, const ClipSpec& spec) {
  ClipCodes clip(model, spec);
  std::vector<std::int32_t> codes;
  while (!clip.done())
    for (const std::int32_t code : clip.next()) codes.push_back(code);
  return codes;
}

}  // namespace

TEST_CASE("a sentence is read by its words", "[sentence]") {
  const Said two = read_sentence("A red ball and a blue ball collide.");
  CHECK(two.colours == std::vector<std::string>{"blue", "red"});
  CHECK(two.count == 2);
  CHECK(two.motion == "collide");
  const Said one = read_sentence("a green ball rolls to the left");
  CHECK(one.count == 1);
  CHECK(one.direction == -1);
  CHECK(one.motion == "roll");
  CHECK(read_sentence("three balls bounce on the floor").count == 3);
  CHECK(read_sentence("One YELLOW sphere is flying through the air.").motion == "throw");
  CHECK(read_sentence("One YELLOW sphere is flying through the air.").colours == std::vector<std::string>{"yellow"});
  CHECK(read_sentence("a red ball hits a stack of boxes").motion.empty());
  CHECK(read_sentence("a red ball starts to roll").motion == "roll");
  CHECK(read_sentence("water pours into a glass").motion.empty());
}

TEST_CASE("the judge prefers what the sentence says", "[judged_clip]") {
  worlds::SampleOptions sample;
  sample.scenes = {"roll"};
  sample.smooth_backgrounds = true;
  worlds::World world(worlds::sample_spec(7, 1, sample));
  std::vector<Frame> frames;
  for (int f = 0; f < 72; ++f) {
    if (f > 0) world.step();
    frames.push_back(world.draw());
  }
  const Tracks tracks = track(frames, 24);
  const Said said = read_sentence(world.caption());
  const double right = judge(said, tracks, 24).worth;
  CHECK(right > 5);
  CHECK(judge(said, tracks, 24).good);
  Said other = said;
  other.colours = {"brown"};
  CHECK(judge(other, tracks, 24).worth < right - 1);
  other = said, other.count = 2, other.colours = {};
  CHECK(judge(other, tracks, 24).worth < right - 1);
  other = said, other.motion = "bounce";
  CHECK(judge(other, tracks, 24).worth == right - 0.5);
  // A body that stops in mid-air breaks a law, and nothing moves there.
  std::vector<Frame> frozen = frames;
  for (std::size_t f = 24; f < frozen.size(); ++f) frozen[f] = frozen[23];
  CHECK(judge(said, track(frozen, 24), 24).worth < right - 0.4);
  CHECK_FALSE(judge(said, track(frozen, 24), 24).good);
  const std::vector<Frame> empty(72, Frame(96, 96));
  CHECK(judge(said, track(empty, 24), 24).worth == 0);
}

TEST_CASE("one go alone is the clip without a judge; more depend on nothing but the spec", "[judged_clip]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const LoadedModel model(folder.path().string());
  ClipSpec spec;
  spec.prompt = "a red ball bounces";
  spec.seconds = 3;  // starts anew more than once
  for (std::int32_t i = 0; i < 32; ++i) spec.given.push_back(i % 16);
  const std::vector<std::int32_t> plain = plain_codes(model, spec);
  CHECK(judged_codes(model, spec) == plain);
  spec.tries = 3;
  const int threads = thread_count();
  set_thread_count(1);
  const std::vector<std::int32_t> judged = judged_codes(model, spec);
  for (const int count : {2, 3}) {
    set_thread_count(count);
    CHECK(judged_codes(model, spec) == judged);
  }
  set_thread_count(threads);
  CHECK(judged.size() == plain.size());
  CHECK(std::equal(spec.given.begin(), spec.given.end(), judged.begin()));
  spec.tries = 0;
  CHECK_THROWS_AS(spec.validate(model), InputError);
}

TEST_CASE("the go of the highest verdict is gone on from", "[judged_clip]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const LoadedModel model(folder.path().string());
  ClipSpec spec;
  spec.prompt = "a red ball bounces";
  spec.seconds = 3;
  const auto brightness = [](std::span<const Frame> frames, int first) {
    double sum = 0;
    for (const Frame& frame : frames.subspan(static_cast<std::size_t>(first)))
      for (const std::uint8_t value : frame.bytes()) sum += value;
    return sum;
  };
  double enough = 1e18;  // good from here on
  std::mutex mutex;
  std::vector<double> verdicts;
  const Judge by_brightness = [&](std::span<const Frame> frames, int first) -> Verdict {
    const double worth = brightness(frames, first);
    const std::lock_guard lock(mutex);
    verdicts.push_back(worth);
    return {worth, worth >= enough};
  };
  JudgedClip one(model, spec, by_brightness);
  while (!one.done()) one.next();
  CHECK(verdicts.empty());  // nothing to choose
  spec.tries = 3;
  JudgedClip clip(model, spec, by_brightness);
  while (!clip.done()) {
    verdicts.clear();
    const std::vector<Frame> frames = clip.next().frames;
    REQUIRE(verdicts.size() == 3);
    const auto [least, most] = std::minmax_element(verdicts.begin(), verdicts.end());
    CHECK(*least < *most);
    CHECK(brightness(frames, 0) == *most);
  }
  // A good go ends the search.
  enough = 0;
  JudgedClip content(model, spec, by_brightness);
  while (!content.done()) {
    verdicts.clear();
    content.next();
    CHECK(verdicts.size() == 1);
  }
}
