// Rollouts of a tiny random model: what they depend on, what they take, and that they stay in bounds.
#include "apps/pipeline/rollout.h"

#include <fstream>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

struct Fixture {
  test::TemporaryFolder folder;
  std::unique_ptr<LoadedModel> model;
  Fixture() {
    test::write_tiny_model(folder.path().string());
    model = std::make_unique<LoadedModel>(folder.path().string());
  }
};

RolloutOptions options_for(std::uint64_t seed) {
  RolloutOptions options;
  options.prompt = "a red ball";
  options.seed = seed;
  return options;
}

std::vector<std::int32_t> roll(Rollout& rollout, int latents, const Action& action = {}) {
  std::vector<std::int32_t> codes;
  for (int i = 0; i < latents; ++i)
    for (const std::int32_t code : rollout.next(action)) codes.push_back(code);
  return codes;
}

std::vector<std::int32_t> roll(const LoadedModel& model, const RolloutOptions& options, int latents,
                               const Action& action = {}) {
  Rollout rollout(model, options);
  return roll(rollout, latents, action);
}

}  // namespace

TEST_CASE("a rollout is the same twice and with any thread count, and another with another seed, prompt or action",
          "[rollout]") {
  const Fixture f;
  const auto codes = roll(*f.model, options_for(7), 20);
  CHECK(codes.size() == 20 * 16);
  for (const std::int32_t code : codes) CHECK((code >= 0 && code < 16));
  CHECK(roll(*f.model, options_for(7), 20) == codes);
  const int threads = thread_count();
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    CHECK(roll(*f.model, options_for(7), 20) == codes);
  }
  set_thread_count(threads);
  CHECK(roll(*f.model, options_for(8), 20) != codes);
  RolloutOptions other = options_for(7);
  other.prompt = "the floor";
  CHECK(roll(*f.model, other, 20) != codes);
  CHECK(roll(*f.model, options_for(7), 20, {ActionKind::push_left, 1, 0}) != codes);
}

TEST_CASE("drafts do not change a rollout", "[rollout][draft]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string(), 5, 7, /*mtp=*/true);
  const LoadedModel model(folder.path().string());
  const auto codes = roll(model, options_for(7), 20);  // beyond the context: the sequence starts anew on the way
  for (const std::int64_t drafts : {1, 3}) {
    RolloutOptions options = options_for(7);
    options.drafts = drafts;
    Rollout rollout(model, options);
    CHECK(roll(rollout, 9) == std::vector(codes.begin(), codes.begin() + 9 * 16));
    Rollout fork = rollout;
    CHECK(roll(rollout, 11) == std::vector(codes.begin() + 9 * 16, codes.end()));
    CHECK(roll(fork, 11) == std::vector(codes.begin() + 9 * 16, codes.end()));
    CHECK(rollout.drafts().drafted > 100);
  }
  const Fixture without;
  RolloutOptions options = options_for(7);
  options.drafts = 1;
  CHECK_THROWS_AS(Rollout(*without.model, options), InputError);
}

TEST_CASE("a copy is a fork of the world", "[rollout]") {
  const Fixture f;
  Rollout first(*f.model, options_for(3));
  roll(first, 9);
  Rollout fork = first;
  const auto codes = roll(first, 9);
  CHECK(roll(fork, 9) == codes);
}

TEST_CASE("the context never outgrows the trained one, whatever the length", "[rollout]") {
  const Fixture f;
  Rollout rollout(*f.model, options_for(3));
  std::int64_t most = 0;
  for (int i = 0; i < 60; ++i) {
    rollout.next();
    most = std::max(most, rollout.context_groups());
    REQUIRE(rollout.context_groups() <= f.model->context_groups());
  }
  CHECK(most == f.model->context_groups());
  CHECK(rollout.latents() == 60);
  CHECK(rollout.tokens() == planned_tokens(*f.model, f.model->layout().group(), 60));
  const std::int64_t opening = 2 * 20 - 1;                                      // once more without the words
  CHECK(planned_tokens(*f.model, 20, 6) == opening + 7 * 20 - 1);               // all of it fits
  CHECK(planned_tokens(*f.model, 20, 7) == opening + 8 * 20 - 1 + 4 * 20 - 1);  // one new start with 3 of 6 frames
}

TEST_CASE("starting anew goes on as a sequence with the prompt and the later half would", "[rollout]") {
  const Fixture f;  // 7 groups: a prompt and 6 latent frames
  RolloutOptions greedy = options_for(3);
  greedy.sampling.temperature = 0;
  Rollout whole(*f.model, greedy);
  const auto codes = roll(whole, 6);
  Rollout part(*f.model, greedy);
  for (std::size_t latent = 3; latent < 6; ++latent) part.give(std::span(codes).subspan(latent * 16, 16));
  CHECK(whole.next() == part.next());
}

TEST_CASE("given latent frames stand for drawn ones, more than the context holds too", "[rollout]") {
  const Fixture f;
  const Action push{ActionKind::push_up, 1, 1};
  for (const std::size_t count : {std::size_t{5}, std::size_t{23}}) {
    Rollout drawn(*f.model, options_for(5)), given(*f.model, options_for(5));
    const auto codes = roll(drawn, static_cast<int>(count), push);
    for (std::size_t latent = 0; latent < count; ++latent) given.give(std::span(codes).subspan(latent * 16, 16), push);
    CHECK(given.latents() == drawn.latents());
    CHECK(given.next() == drawn.next());
  }
}

TEST_CASE("guidance changes what is drawn, by default in the first latent frame only", "[rollout]") {
  const Fixture f;
  RolloutOptions guided = options_for(7);
  const auto plain = roll(*f.model, guided, 12);
  guided.cfg_scale = 4;
  CHECK(roll(*f.model, guided, 12) != plain);
  guided.cfg_scale = kOpeningGuidance;
  CHECK(roll(*f.model, guided, 1) == roll(*f.model, options_for(7), 1));
  CHECK(roll(*f.model, guided, 12) != plain);
  RolloutOptions silent = options_for(7);
  silent.prompt.clear();
  CHECK_THROWS_AS(Rollout(*f.model, silent), InputError);
  silent.allow_empty = true;
  const auto without = roll(*f.model, silent, 12);
  guided.cfg_scale = 0;  // all weight on the sequence without a prompt
  CHECK(roll(*f.model, guided, 12) == without);
  guided.cfg_scale = -1;
  CHECK_THROWS_AS(Rollout(*f.model, guided), InputError);
}

TEST_CASE("the entropy of what is drawn is measured without changing it", "[rollout]") {
  const Fixture f;
  RolloutOptions measured = options_for(7);
  measured.measure_entropy = true;
  Rollout rollout(*f.model, measured);
  CHECK(roll(rollout, 3) == roll(*f.model, options_for(7), 3));
  REQUIRE(rollout.entropy().size() == 16);
  for (const float bits : rollout.entropy()) CHECK((bits > 0 && bits <= 4.0001f));  // 16 codes
  CHECK(Rollout(*f.model, options_for(7)).entropy().empty());
}

TEST_CASE("prompts that cannot be taken are named", "[rollout]") {
  const Fixture f;
  std::string words;
  for (int i = 0; i < 10000; ++i) words += "ball ";
  for (const std::string& prompt : {std::string(), std::string("  "), std::string("a\nball"), std::string("a \x7f"),
                                    std::string("a \xC2\x85"), std::string("\xff"), words})
    CHECK_THROWS_AS(f.model->encode_prompt(prompt), InputError);
  CHECK_NOTHROW(f.model->encode_prompt("red b\xC3\xA4ll"));
  // What looks like a mark is text.
  for (const std::int32_t id : f.model->encode_prompt("<bos>")) CHECK(f.model->layout().vocabulary().is_text(id));
}

TEST_CASE("model folders that are none, or whose parts do not fit, are named", "[rollout]") {
  const Fixture f;
  const test::TemporaryFolder empty, mixed;
  CHECK_THROWS_AS(LoadedModel(empty.path().string()), InputError);
  CHECK_THROWS_AS(LoadedModel((empty / "nothing").string()), InputError);
  test::write_tiny_model(mixed.path().string());
  CodecConfig other;
  other.width = other.fine_width = 8;
  other.levels = {5, 5};
  Random random(1);
  save_codec(LatentCodec(other, random), mixed.path().string());
  CHECK_THROWS_AS(LoadedModel(mixed.path().string()), InputError);
}
