// Step-by-step decoding against the full forward pass, at every chunking, thread count and fork.
#include "core/generate/decoder.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/io/parameters_file.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// "video": the mixed model with everything that the video layout adds, frames of 2×2 codes.
Transformer tiny_model(const std::string& case_name) {
  const bool video = case_name == "video";
  const std::string name = video ? "mixed" : case_name;
  const std::string path = std::string(ORRERY_TEST_FIXTURES) + "/deepseek_v4/" + name + ".safetensors";
  const TensorFile file = open_tensors(path);
  Random random(1);
  ModelConfig config = parse_model_config(file.metadata("config"), path);
  if (video) {
    config.video.codes = 40;
    config.video.grid_rows = config.video.grid_columns = 2;
    config.video.place_embedding = config.video.recall_embedding = true;
    config.video.levels = {8, 5};
  }
  Transformer model(config, random);
  for (const Parameter& item : model.parameters().all())
    if (item.name.find("digits") != std::string::npos)
      item.value.detach().copy_from(Tensor::randn(item.value.shape(), random, 0.02f));
    else if (item.name != "model.embed_places.weight" && item.name != "model.embed_recall.weight")
      file.load_into("weight." + item.name, item.value);
  return model;
}

std::vector<std::int32_t> some_ids(std::int64_t count) {
  Random random(5);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random.below(64)));
  return ids;
}

const char* const kCases[] = {"sliding", "csa4",        "hca8", "mixed", "hash",
                              "csa8",    "window_edge", "yarn", "clamp", "video"};

}  // namespace

TEST_CASE("decoding gives the logits of the full forward pass", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Transformer model = tiny_model(name);
  const Decoder decoder(model, DType::f32);
  const auto ids = some_ids(75);
  const NoGrad guard;
  const auto expected = model.logits(model.forward(Tensor::from(ids, {1, 75})).hidden).to_vector();
  double scale = 0;
  for (const float value : expected) scale = std::max(scale, std::abs(double{value}));
  DecodeState state = decoder.start();
  const auto logits = decoder.append_all(state, ids);
  REQUIRE(logits.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) worst = std::max(worst, std::abs(double{logits[i]} - expected[i]));
  // Two orders of f32 summation through three layers; the parity bound of the full pass holds here too.
  CHECK(worst <= 2e-4 * scale);
}

TEST_CASE("logits are bit-identical whatever the chunks and the threads", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Transformer model = tiny_model(name);
  const Decoder decoder(model);
  const auto ids = some_ids(61);
  DecodeState whole = decoder.start();
  const auto expected = decoder.append(whole, ids);
  const int threads = thread_count();
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{5}, std::size_t{16}, std::size_t{60}}) {
    set_thread_count(chunk == 5 ? 1 : 2);
    DecodeState state = decoder.start();
    std::vector<float> logits;
    for (std::size_t at = 0; at < ids.size(); at += chunk)
      logits = decoder.append(state, std::span(ids).subspan(at, std::min(chunk, ids.size() - at)));
    CHECK(logits == expected);
    CHECK(state.length() == 61);
  }
  set_thread_count(threads);
}

TEST_CASE("a copy of the state forks the sequence", "[decoder]") {
  const Transformer model = tiny_model("mixed");
  const Decoder decoder(model);
  const auto ids = some_ids(40);
  DecodeState state = decoder.start();
  decoder.append(state, std::span(ids).first(30));
  DecodeState fork = state;
  const auto here = decoder.append(state, std::span(ids).subspan(30));
  CHECK(decoder.append(fork, std::vector<std::int32_t>{1, 2, 3}) != here);
  DecodeState again = decoder.start();
  decoder.append(again, std::span(ids).first(30));
  CHECK(decoder.append(again, std::span(ids).subspan(30)) == here);
  CHECK_THROWS_AS(decoder.append(state, std::vector<std::int32_t>{64}), InputError);
  CHECK_THROWS_AS(decoder.append(state, std::vector<std::int32_t>{}), InputError);
}

TEST_CASE("several sequences in one step get what each gets alone, bit for bit", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Decoder decoder(tiny_model(name), DType::bf16);
  const std::vector<std::int32_t> ids = some_ids(40);
  constexpr std::size_t kSequences = 7;
  std::vector<DecodeState> together, alone;
  for (std::size_t i = 0; i < kSequences; ++i) together.push_back(decoder.start()), alone.push_back(decoder.start());
  // Each at its own place in its own text, by chunks of different lengths.
  for (std::size_t round = 0; round < 4; ++round) {
    std::vector<DecodeStep> steps;
    for (std::size_t i = 0; i < kSequences; ++i)
      steps.push_back({&together[i], std::span(ids).subspan((3 * i + 7 * round) % 30, 1 + (i + round) % 5)});
    const std::vector<float> logits = decoder.append_each(steps);
    const std::size_t size = logits.size() / kSequences;
    for (std::size_t i = 0; i < kSequences; ++i) {
      const std::vector<float> expected = decoder.append(alone[i], steps[i].ids);
      CHECK(std::equal(expected.begin(), expected.end(), logits.begin() + static_cast<std::ptrdiff_t>(i * size)));
      CHECK(together[i].length() == alone[i].length());
    }
  }
}
