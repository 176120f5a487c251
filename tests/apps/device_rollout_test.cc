// Rollouts on a device: the CUDA kernels as plain C++ (docs/decisions/0007) against the CPU's.
#include "apps/pipeline/clip_codes.h"
#include "apps/pipeline/generate.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/cuda_on_host/memory.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::pipeline;

TEST_CASE("a device's rollouts in f32 are the CPU's, drawn there or from its rows", "[rollout][cuda]") {
  on_host::register_cuda_on_host();
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string(), 3, 4);  // three latent frames and the sequence starts anew
  const LoadedModel here(folder.path().string(), {Device::cpu, DType::f32});
  const LoadedModel there(folder.path().string(), {Device::cuda, DType::f32});
  RolloutOptions options;
  options.prompt = "a red ball", options.seed = 7;
  RolloutOptions measured = options, other = options;
  measured.measure_entropy = true;  // needs each row
  other.seed = 8;
  Rollout expected(here, options), beside_expected(here, other);
  Rollout drawn(there, options), beside(there, other), from_rows(there, measured);
  for (int latent = 0; latent < 4; ++latent) {
    INFO("latent frame " << latent);
    const auto codes = expected.next();
    Rollout* const pair[] = {&drawn, &beside};
    const Action actions[2] = {};
    const auto both = Rollout::next_each(pair, actions);
    CHECK(both[0] == codes);
    CHECK(both[1] == beside_expected.next());
    if (latent < 2) CHECK(from_rows.next() == codes);
  }
  CHECK(drawn.tokens() == expected.tokens());
  options.drafts = 1;
  CHECK_THROWS_AS(Rollout::check(there, options), InputError);
}

TEST_CASE("a clip made on a device says so in its record", "[generate][cuda]") {
  on_host::register_cuda_on_host();
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const LoadedModel there(folder.path().string(), {Device::cuda});
  ClipSpec spec;
  spec.prompt = "a red ball", spec.seconds = 1 / 24.0;
  std::int64_t frames = 0;
  for_each_frame(there, spec, {}, [&frames](const Frame&) { ++frames; });
  CHECK(frames == 1);
  const Json record = to_record(there, spec, {});
  CHECK(record.find("device")->as_string() == "cuda");
  CHECK(record.find("dtype")->as_string() == "bf16");
}
