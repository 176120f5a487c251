// Rotary positions by time, row and column: what they are, forward, gradients; decoding with them is in
// decoder_test.cc and token_stream_test.cc.
#include "core/model/rope_axes.h"

#include <algorithm>
#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/transformer.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/text/sequence.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int32_t kText = 10;

// Frames of 2 × 4 codes: groups of 12 tokens.
ModelConfig axes_config(std::vector<std::int64_t> axes) {
  ModelConfig config;
  config.hidden_size = 16, config.moe_intermediate_size = 8;
  config.num_attention_heads = 2, config.head_dim = 16, config.qk_rope_head_dim = 12;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8, config.sliding_window = 24;
  config.index_n_heads = 4, config.index_head_dim = 16, config.index_topk = 100;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2, config.hc_mult = 2, config.hc_sinkhorn_iters = 3;
  config.csa_rate = 4, config.hca_rate = 12, config.initializer_range = 0.3;
  config.layer_types = {AttentionKind::sliding, AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types.assign(3, MlpKind::hash_moe);  // nothing that jumps where weights move a little
  config.video.codes = 6, config.video.grid_rows = 2, config.video.grid_columns = 4;
  config.video.trained_context = 240;
  config.video.rope_axes = std::move(axes);
  config.vocab_size = VideoVocabulary(kText, {2, 4, 6}).size();
  config.validate();
  return config;
}

SequenceLayout layout() { return SequenceLayout(VideoVocabulary(kText, {2, 4, 6})); }

// A prompt of `words` words, and latent frames up to `length` tokens.
std::vector<std::int32_t> sequence(std::size_t words, std::size_t length, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::int32_t> text, codes;
  for (std::size_t i = 0; i < words; ++i) text.push_back(static_cast<std::int32_t>(random.below(kText)));
  std::vector<std::int32_t> ids = layout().prompt(text);
  while (ids.size() < length) {
    codes.clear();
    for (int i = 0; i < 8; ++i) codes.push_back(static_cast<std::int32_t>(random.below(6)));
    const auto group = layout().group_tokens({}, codes);
    ids.insert(ids.end(), group.begin(), group.end());
  }
  ids.resize(length);
  return ids;
}

std::vector<float> angles_of(const ModelConfig& config, std::int64_t position, std::int32_t id) {
  std::vector<float> angles;
  RopeAxes(config).append_angles(angles, {1, 1, 1, 1, 1, 1}, position, id);
  return angles;
}

}  // namespace

TEST_CASE("a token turns with its place in the picture, text with its position", "[rope]") {
  ModelConfig config = axes_config({3, 1, 2});
  const SequenceLayout frames = layout();
  const VideoVocabulary& vocabulary = frames.vocabulary();
  const std::int32_t code = vocabulary.code(3);
  // Pairs: row, column, column, then time.
  CHECK(angles_of(config, 36 + 4, code) == std::vector<float>{0, 0, 0, 36, 36, 36});
  CHECK(angles_of(config, 36 + 4 + 6, code) == std::vector<float>{1, 2, 2, 36, 36, 36});  // 2 × 2 blocks
  CHECK(angles_of(config, 36 + 4 + 7, code) == std::vector<float>{1, 3, 3, 36, 36, 36});
  CHECK(angles_of(config, 36 + 2, vocabulary.mark(Mark::nowhere)) == std::vector<float>{-1, 2, 2, 36, 36, 36});
  CHECK(angles_of(config, 24, vocabulary.mark(Mark::frame)) == std::vector<float>{-1, 0, 0, 24, 24, 24});
  for (const std::int32_t text : {std::int32_t{5}, vocabulary.mark(Mark::pad), vocabulary.mark(Mark::text)})
    CHECK(angles_of(config, 17, text) == std::vector<float>(6, 17.0f));
  CHECK(angles_of(axes_config({}), 46, code) == std::vector<float>(6, 46.0f));
  CHECK_THROWS_WITH(axes_config({3, 1, 1}), ContainsSubstring("rope_axes"));
  CHECK_THROWS_WITH(axes_config({3, 3}), ContainsSubstring("rope_axes"));
  config.video.fps = 10;
  const std::string text = to_json(config);
  CHECK(parse_model_config(text, "what was written").video.rope_axes == config.video.rope_axes);
  CHECK(parse_model_config(text, "what was written").video.fps == 10);
  CHECK_THAT(to_json(axes_config({})), !ContainsSubstring("rope_axes"));
}

TEST_CASE("with axes a batch's sequences have places of their own", "[rope][model]") {
  Random random(3);
  const Transformer model(axes_config({2, 2, 2}), random), plain = [] {
    Random same(3);
    return Transformer(axes_config({}), same);
  }();
  const NoGrad guard;
  ForwardOptions options;
  options.mtp = true;
  const auto first = sequence(3, 60, 1), second = sequence(15, 60, 2);  // prompts of one group and of two
  std::vector<std::int32_t> both = first;
  both.insert(both.end(), second.begin(), second.end());
  const ForwardResult together = model.forward(Tensor::from(both, {2, 60}), options);
  const auto hidden = together.hidden.to_vector(), mtp = together.mtp_hidden.to_vector();
  double against_plain = 0;
  for (int b = 0; b < 2; ++b) {
    const Tensor ids = Tensor::from(b == 0 ? first : second, {1, 60});
    const ForwardResult alone = model.forward(ids, options);
    const auto one = alone.hidden.to_vector(), one_mtp = alone.mtp_hidden.to_vector();
    const auto flat = plain.forward(ids).hidden.to_vector();
    for (std::size_t i = 0; i < one.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(b) * one.size() + i;
      REQUIRE(std::abs(hidden[at] - one[i]) <= 1e-5 * (1 + std::abs(one[i])));  // products of another shape
      REQUIRE(std::abs(mtp[at] - one_mtp[i]) <= 1e-5 * (1 + std::abs(one_mtp[i])));
      against_plain = std::max(against_plain, std::abs(double{one[i]} - flat[i]));
    }
  }
  CHECK(against_plain > 0.01);
}

TEST_CASE("gradients with axes are those of finite differences", "[rope][gradient]") {
  Random random(5);
  const Transformer model(axes_config({2, 2, 2}), random);
  std::vector<std::int32_t> ids = sequence(3, 60, 1);
  const auto second = sequence(15, 60, 2);
  ids.insert(ids.end(), second.begin(), second.end());
  const Tensor input = Tensor::from(ids, {2, 60});
  // As large as a mean of so many terms wants it, to stand out of f32's noise.
  const Tensor direction = Tensor::randn({120, model.config().vocab_size}, random, 70.0f);
  const auto loss = [&] { return ops::mean(ops::mul(model.logits(model.forward(input).hidden), direction)); };
  backward(loss());
  int compared = 0;
  for (const Parameter& item : model.parameters().all()) {
    // What the rotation is between: queries and keys of each kind, and what comes out.
    const bool wanted = item.name.find("q_b_proj") != std::string::npos ||
                        item.name.find("kv_proj") != std::string::npos ||
                        item.name.find("o_a_proj") != std::string::npos;
    if (!wanted || item.name.find("indexer") != std::string::npos || item.name.starts_with("mtp")) continue;
    INFO(item.name);
    Tensor value = item.value.detach();
    const Tensor grad = item.value.grad(), step = Tensor::randn(value.shape(), random);
    REQUIRE(grad.defined());
    double expected = 0, size = 0;
    for (std::int64_t i = 0; i < value.numel(); ++i) {
      expected += double{grad.data<float>()[i]} * step.data<float>()[i];
      size += std::abs(double{grad.data<float>()[i]} * step.data<float>()[i]);
    }
    const std::vector<float> kept = value.to_vector();
    const auto at = [&](float epsilon) {
      const NoGrad guard;
      for (std::int64_t i = 0; i < value.numel(); ++i)
        value.data<float>()[i] = kept[static_cast<std::size_t>(i)] + epsilon * step.data<float>()[i];
      const double result = loss().item();
      value.copy_from(Tensor::from(kept, value.shape()));
      return result;
    };
    constexpr float kStep = 2e-3f;
    const double found = (at(kStep) - at(-kStep)) / (2 * kStep);
    // The cube of the step in a smooth loss, and f32's noise over the step.
    CHECK(std::abs(found - expected) <= 0.01 * size + 2e-4);
    CHECK(size > 0.02);
    ++compared;
  }
  CHECK(compared >= 9);
}
