// Step-by-step decoding against the full forward pass, at every chunking, thread count and fork.
#include "core/generate/decoder.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/tensor/quantize.h"
#include "tests/support/catch.h"
#include "tests/support/tiny_transformer.h"

using namespace orrery;

namespace {

const char* const kCases[] = {"sliding", "csa4",  "hca8", "mixed", "hash", "csa8",    "window_edge", "yarn",
                              "clamp",   "video", "axes", "v3",    "v32",  "v3_yarn", "v32_yarn"};

}  // namespace

TEST_CASE("decoding gives the logits of the full forward pass", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Transformer model = test::tiny_transformer(name);
  const Decoder decoder(model, DType::f32);
  const auto ids = test::some_ids(75);
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
  const DType weights = GENERATE(DType::bf16, DType::i8);
  INFO(name_of(weights));
  const Transformer model = test::tiny_transformer(name);
  const Decoder decoder(model, weights);
  const auto ids = test::some_ids(61);
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

TEST_CASE("integer weights decode as what they stand for", "[decoder]") {
  // Not CSA: there the keys' rounding may choose other entries.
  const std::string name = GENERATE("sliding", "hca8");
  INFO(name);
  const Transformer model = test::tiny_transformer(name);
  const Decoder decoder(model, DType::i8);
  const auto ids = test::some_ids(50);
  const NoGrad guard;
  const auto full = [&] { return model.logits(model.forward(Tensor::from(ids, {1, 50})).hidden).to_vector(); };
  const auto unrounded = full();
  // The full pass over the very values that the decoder holds.
  for (const Parameter& item : model.parameters().all()) {
    const bool f32 = item.name.find("hc") != std::string::npos || item.name.ends_with("mlp.gate.weight");
    Tensor value = item.value.detach();
    const bool head = item.name == "lm_head.weight";
    if (item.kind == ParameterKind::embedding && !head) value.copy_from(value.to(DType::bf16).to(DType::f32));
    if ((item.kind != ParameterKind::matrix && !head) || f32) continue;
    const QuantizedRows rows = quantize_rows(value);
    const std::int64_t columns = value.dim(-1);
    for (std::int64_t i = 0; i < value.numel(); ++i)
      value.data<float>()[i] = rows.values.data<std::int8_t>()[i] * rows.scales.data<float>()[i / columns];
  }
  const auto expected = full();
  DecodeState state = decoder.start();
  const auto logits = decoder.append_all(state, ids);
  double of_weights = 0, of_inputs = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    of_weights = std::max(of_weights, std::abs(double{expected[i]} - unrounded[i]));
    of_inputs = std::max(of_inputs, std::abs(double{logits[i]} - expected[i]));
  }
  // Weights have 8 bits, inputs 16: a 256th, were all else equal; but a matrix that is not rounded passes on the
  // inputs' errors alone, and inputs have outliers.
  INFO(of_weights << " by the weights' rounding, " << of_inputs << " more by the inputs'");
  CHECK(of_inputs <= of_weights / 100);
}

TEST_CASE("a state counts its bytes and its time by what they are for", "[decoder]") {
  const Decoder decoder(test::tiny_transformer("mixed"));  // one layer a kind, rates 4 and 16, window 8, heads of 16
  DecodeState state = decoder.start();
  CHECK_THROWS_AS(state.times(), Error);
  state.measure();
  decoder.append(state, test::some_ids(64));
  const CacheBytes bytes = state.memory();
  CHECK(bytes.sum() == state.bytes());
  CHECK(bytes.window >= 3 * 8 * 16 * 4);
  CHECK(bytes.csa >= 64 / 4 * 16 * 4);
  CHECK(bytes.hca >= 64 / 16 * 16 * 4);
  CHECK(bytes.indexer >= 64 / 4 * 16 * 2);  // bf16
  const DecodeTimes times = state.times();
  CHECK((times.sliding > 0 && times.csa > 0 && times.hca > 0 && times.indexer > 0));
  CHECK(bytes.latent == 0);
}

TEST_CASE("V3's cache is one row a token and layer, and V3.2's index keys beside it", "[decoder]") {
  const Transformer model = test::tiny_transformer("v32");
  const Decoder decoder(model);
  DecodeState state = decoder.start();
  state.measure();
  decoder.append(state, test::some_ids(64));
  const ModelConfig& c = decoder.config();
  const CacheBytes bytes = state.memory();
  CHECK(bytes.sum() == state.bytes());
  CHECK(bytes.latent == 64 * c.num_hidden_layers() * (c.kv_lora_rank + c.qk_rope_head_dim) * 4);
  CHECK(bytes.indexer >= 64 * c.num_hidden_layers() * c.index_head_dim * 2);  // bf16
  CHECK(bytes.window == 0);
  const DecodeTimes times = state.times();
  CHECK((times.latent > 0 && times.indexer > 0));
  CHECK(times.sliding == 0);
}

TEST_CASE("a copy of the state forks the sequence", "[decoder]") {
  const Transformer model = test::tiny_transformer("mixed");
  const Decoder decoder(model);
  const auto ids = test::some_ids(40);
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
  // max_position_embeddings is 256.
  const std::vector<std::int32_t> rest(256 - 40, 1);
  CHECK_NOTHROW(decoder.append(again, rest));
  CHECK_THROWS_WITH(decoder.append(again, std::vector<std::int32_t>{1}), ContainsSubstring("257"));
  CHECK_THROWS_WITH(model.forward(Tensor::zeros({1, 257}, DType::i32)), ContainsSubstring("257"));
}

TEST_CASE("a block taken back in part leaves what its first tokens alone would", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Decoder decoder(test::tiny_transformer(name), GENERATE(DType::bf16, DType::i8));
  const std::vector<std::int32_t> ids = test::some_ids(60);
  DecodeState blocks = decoder.start(), plain = decoder.start();
  // Lengths and kept parts that end before, at and behind the windows' edges.
  std::size_t at = 0;
  for (const auto& [size, kept] :
       {std::pair<std::size_t, std::size_t>{7, 7}, {9, 1}, {8, 0}, {16, 8}, {5, 4}, {11, 11}}) {
    decoder.append_block(blocks, std::span(ids).subspan(at, size));
    decoder.keep(blocks, static_cast<std::int64_t>(kept));
    if (kept > 0) decoder.append(plain, std::span(ids).subspan(at, kept));
    at += kept;
    REQUIRE(blocks.length() == plain.length());
    DecodeState fork = blocks, other = plain;
    CHECK(decoder.append(fork, std::span(ids).subspan(at, 9)) == decoder.append(other, std::span(ids).subspan(at, 9)));
  }
}

TEST_CASE("several sequences in one step get what each gets alone, bit for bit", "[decoder]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Decoder decoder(test::tiny_transformer(name), GENERATE(DType::bf16, DType::i8));
  const std::vector<std::int32_t> ids = test::some_ids(40);
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
