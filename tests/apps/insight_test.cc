// Looking inside a tiny model: shares that sum to one, and the context that the rollout really had.
#include "apps/pipeline/insight.h"

#include <numeric>

#include "apps/pipeline/rollout.h"
#include "core/base/error.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

const std::string kPrompt = "a red ball";

struct Fixture {
  test::TemporaryFolder folder;
  std::unique_ptr<LoadedModel> model;
  std::vector<std::vector<std::int32_t>> codes;
  std::vector<LatentFrame> frames;
  std::vector<std::int64_t> groups;  // in the context after each frame
  explicit Fixture(int latents) {
    test::write_tiny_model(folder.path().string());
    model = std::make_unique<LoadedModel>(folder.path().string());
    RolloutOptions options;
    options.prompt = kPrompt;
    Rollout rollout(*model, options);
    const Action push{ActionKind::push_left, 1, 2};
    for (int i = 0; i < latents; ++i) {
      codes.push_back(rollout.next(i == 3 ? push : Action{}));
      groups.push_back(rollout.context_groups());
    }
    for (int i = 0; i < latents; ++i) frames.push_back({codes[static_cast<std::size_t>(i)], i == 3 ? push : Action{}});
  }
};

float sum_of(const Look& look) {
  float sum = look.words + look.marks + look.nothing;
  for (std::size_t back = 0; back < look.frames.size(); ++back) sum += look.frame(back);
  return sum;
}

}  // namespace

TEST_CASE("the context of a latent frame is what the rollout had", "[insight]") {
  const Fixture f(17);
  const std::int64_t group = f.model->layout().group();
  const auto prompt = static_cast<std::int64_t>(f.model->layout().prompt(f.model->encode_prompt(kPrompt)).size());
  for (std::int64_t i = 0; i < 17; ++i)
    CHECK(context_latents(*f.model, prompt, i) == f.groups[static_cast<std::size_t>(i)] - prompt / group - 1);
}

TEST_CASE("looks sum to one and see only what was there", "[insight]") {
  const Fixture f(9);
  Inspector inspector(*f.model);
  for (const std::size_t count : {1u, 2u, 5u, 9u}) {
    const Insight found = inspector.inspect(kPrompt, std::span(f.frames).first(count));
    REQUIRE(found.layers() == 3);
    REQUIRE(found.cells() == 16);
    for (int layer = -1; layer < 3; ++layer) {
      for (std::int64_t cell = 0; cell < 16; ++cell) {
        const Look look = found.look(cell, layer);
        REQUIRE(look.frames.size() == found.earlier() + 1);
        CHECK(sum_of(look) == Approx(1).epsilon(1e-4));
        CHECK(look.frames[0][static_cast<std::size_t>(cell)] == 0);  // not itself
      }
    }
    // The first code of a frame is drawn before any of its codes is there.
    CHECK(found.look(f.model->layout().cell(0), -1).frame(0) == 0);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const std::vector<float> load = found.load(layer);
      CHECK(std::accumulate(load.begin(), load.end(), 0.0f) == Approx(2));
      for (const int expert : found.first_experts(layer)) CHECK((expert >= 0 && expert < 4));
    }
  }
  CHECK_THROWS_AS(inspector.inspect(kPrompt, {}), InputError);
}

TEST_CASE("frame after frame gives what a fresh look gives", "[insight]") {
  const Fixture f(12);
  Inspector kept(*f.model);
  for (std::size_t count = 1; count <= 12; ++count) {
    const std::span frames = std::span(f.frames).first(count);
    Inspector fresh(*f.model);
    const Insight a = kept.inspect(kPrompt, frames), b = fresh.inspect(kPrompt, frames);
    CHECK(a.look(5, -1).cells() == b.look(5, -1).cells());
    CHECK(a.first_experts(2) == b.first_experts(2));
  }
  // Other words: a new start.
  Inspector fresh(*f.model);
  const std::span three = std::span(f.frames).first(3);
  CHECK(kept.inspect("the floor", three).look(5, -1).cells() == fresh.inspect("the floor", three).look(5, -1).cells());
  CHECK(kept.inspect(kPrompt, three).look(5, -1).cells() != fresh.inspect("the floor", three).look(5, -1).cells());
}
