// Extra digits of codes: their vectors, and the head that draws them one after the other.
#include "core/model/extra_head.h"

#include <cmath>
#include <numeric>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/generate/token_stream.h"
#include "core/model/code_digits.h"
#include "tests/support/catch.h"
#include "tests/support/gradient_check.h"

using namespace orrery;

namespace {

constexpr std::int64_t kText = 10;
constexpr std::int64_t kFirst = 6;   // codes by their first digits, of 3 and 2 levels
constexpr std::int64_t kCodes = 48;  // with two extra digits of 4 and 2 levels

ModelConfig extra_config() {
  ModelConfig config;
  config.vocab_size = kText + kFirst, config.hidden_size = 16, config.moe_intermediate_size = 8;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8, config.sliding_window = 6;
  config.index_n_heads = 2, config.index_head_dim = 8, config.index_topk = 3;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2, config.hc_mult = 2, config.hc_sinkhorn_iters = 3;
  config.csa_rate = 3, config.hca_rate = 5, config.initializer_range = 0.4;
  config.compress_rope = {};
  config.layer_types = {AttentionKind::sliding, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe};
  config.video = {kCodes, 1, 2, 60, true, true, {3, 2}, {}, {4, 2}, 5};
  return config;
}

Transformer extra_model() {
  Random random(3);
  return Transformer(extra_config(), random);
}

std::vector<std::int32_t> some_ids(std::int64_t count) {
  Random random(5);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random.below(kText + kCodes)));
  return ids;
}

// −log p of every id after each row of `hidden` [T, hidden], through the loss.
std::vector<std::vector<double>> all_losses(const Transformer& model, const Tensor& hidden) {
  std::vector<std::vector<double>> losses(static_cast<std::size_t>(hidden.dim(0)));
  for (std::int32_t id = 0; id < kText + kCodes; ++id) {
    const Tensor targets = Tensor::full({hidden.dim(0)}, static_cast<double>(id), DType::i32);
    const ops::HeadLoss loss = model.loss(hidden, targets, Tensor::full({hidden.dim(0)}, 1));
    for (std::size_t t = 0; t < losses.size(); ++t) losses[t].push_back(double{loss.losses.data<float>()[t]});
  }
  return losses;
}

}  // namespace

TEST_CASE("the digits of a code are its mixed radix", "[extra_head]") {
  const ModelConfig config = extra_config();
  CHECK(config.first_code() == kText);
  CHECK(config.ids() == kText + kCodes);
  constexpr std::int32_t kId = kText + (2 + 3 * 1) + 6 * (3 + 4 * 1);  // digits 2, 1 and 3, 1
  CHECK(config.table_row(kId) == kText + 5);
  CHECK(config.table_row(kText - 1) == kText - 1);
  CHECK(extra_digits(kId, config) == std::vector<std::int64_t>{3, 1});
  CHECK(extra_digits(kText - 1, config).empty());
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{kText - 1, kId}, {2});
  CHECK(one_hot_digits(ids, config, Device::cpu).to_vector() == std::vector<float>{0, 0, 0, 0, 0, 0, 0, 1, 0, 1});
  CHECK(one_hot_extra(ids, config, Device::cpu).to_vector() == std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1});
}

TEST_CASE("probabilities of all ids sum to one", "[extra_head]") {
  const Transformer model = extra_model();
  Random random(8);
  const Tensor hidden = Tensor::randn({7, 16}, random, 2.0f);
  for (const std::vector<double>& losses : all_losses(model, hidden)) {
    double sum = 0;
    for (const double loss : losses) sum += std::exp(-loss);
    CHECK(sum == Approx(1).margin(1e-5));  // f32 logits
  }
}

TEST_CASE("the extra head's gradients are those of finite differences", "[extra_head]") {
  const Transformer model = extra_model();
  const ExtraHeadWeights& w = model.weights().extra_head;
  Random random(8);
  const Tensor hidden = Tensor::randn({4, 16}, random);
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{3, kText, kText + 41, -1}, {4}),
               weights = Tensor::from({1.0f, 0.5f, 2.0f, 1.0f}, {4});
  const auto loss = [&](const std::vector<Tensor>& in) {
    const ExtraHeadWeights head{in[1], in[2], in[3], in[4], in[5], in[6]};
    return std::vector<Tensor>{extra_loss(in[0], ids, weights, head, model.config()).total};
  };
  test::check_gradients(loss, {hidden, w.hidden, w.hidden_bias, w.first, w.earlier, w.out, w.out_bias});
}

TEST_CASE("a model that gets extra digits says of the first ones what it said before", "[extra_head]") {
  Transformer model = extra_model();
  ModelConfig config = extra_config();
  config.video.extra_levels.clear();
  config.video.codes = kFirst;
  Random random(1);
  Transformer before(config, random);
  for (const Parameter& item : before.parameters().all())
    for (const Parameter& same : model.parameters().all())
      if (same.name == item.name) Tensor(item.value).copy_from(same.value);
  const NoGrad guard;
  std::vector<std::int32_t> ids = some_ids(30), rows;
  for (const std::int32_t id : ids) rows.push_back(model.config().table_row(id));
  const Tensor with = model.logits(model.forward(Tensor::from(ids, {1, 30})).hidden),
               without = before.logits(before.forward(Tensor::from(rows, {1, 30})).hidden);
  CHECK(with.to_vector() == without.to_vector());
}

TEST_CASE("step by step, codes come from the distribution that was trained", "[extra_head]") {
  const Transformer model = extra_model();
  const std::vector<std::int32_t> ids = some_ids(40);
  const NoGrad guard;
  const Tensor hidden = model.forward(Tensor::from(ids, {1, 40})).hidden;
  const auto expected = all_losses(model, hidden);
  const Decoder decoder(model, DType::f32);
  DecodeState state = decoder.start();
  const std::vector<float> rows = decoder.append_all(state, ids);
  const auto size = static_cast<std::size_t>(decoder.row_size());
  REQUIRE(rows.size() == 40 * size);
  const Sampler greedy({.temperature = 0}, 1), sampler({}, 2);
  std::vector<double> counts(kCodes);
  double codes_share = 0;
  for (std::size_t id = kText; id < expected.back().size(); ++id) codes_share += std::exp(-expected.back()[id]);
  constexpr std::uint64_t kDraws = 4000;
  for (std::size_t t = 0; t < 40; ++t) {
    const CodeRows row{std::span(rows).subspan(t * size, size)};
    // Greedy takes the likeliest first digits and then the likeliest of each: no code is likelier with the same first.
    const std::int32_t id = decoder.codes().draw(row, greedy, t);
    REQUIRE((id >= kText && id < kText + kCodes));
    const std::int32_t first = (id - kText) % kFirst;
    double sum = 0;
    for (std::int32_t code = first; code < kCodes; code += kFirst) {
      sum += std::exp(-expected[t][static_cast<std::size_t>(kText + code)]);
    }
    CHECK(std::exp(-expected[t][static_cast<std::size_t>(id)]) >= sum / 8);
    CHECK(decoder.codes().entropy(row, id) <= std::log2(48.0) + 1e-4);
  }
  const CodeRows last{std::span(rows).last(size)};
  for (std::uint64_t i = 0; i < kDraws; ++i)
    ++counts[static_cast<std::size_t>(decoder.codes().draw(last, sampler, i) - kText)];
  // Chi-square over the codes that are expected at least five times; the quantile of 0.9999 at most 47 degrees: 93.
  double chi = 0;
  for (std::size_t code = 0; code < counts.size(); ++code) {
    const double mean = kDraws * std::exp(-expected.back()[kText + code]) / codes_share;
    if (mean >= 5) chi += (counts[code] - mean) * (counts[code] - mean) / mean;
  }
  CHECK(chi < 93);
}

TEST_CASE("guidance of codes moves each digit's logits", "[extra_head]") {
  const Decoder decoder(extra_model(), DType::f32);
  DecodeState with = decoder.start(), without = decoder.start();
  const auto row = decoder.append(with, some_ids(12)), other = decoder.append(without, some_ids(5));
  const Sampler sampler({}, 4);
  for (std::uint64_t position = 0; position < 50; ++position) {
    const std::int32_t plain = decoder.codes().draw({row}, sampler, position);
    CHECK(decoder.codes().draw({row, other, 1}, sampler, position) == plain);
    CHECK(decoder.codes().draw({other, row, 0}, sampler, position) == plain);
  }
  // Far along one direction only what the prompt makes likelier is left.
  const Sampler greedy({.temperature = 0}, 1);
  CHECK(decoder.codes().draw({row, other, 50}, greedy, 0) != decoder.codes().draw({other, row, 50}, greedy, 0));
}

TEST_CASE("extra digits that do not fit the codes are refused", "[extra_head]") {
  ModelConfig config = extra_config();
  config.video.extra_levels = {5};
  CHECK_THROWS_WITH(config.validate(), ContainsSubstring("extra_levels"));
  config = extra_config();
  config.video.codes = std::int64_t{1} << 31;
  config.video.extra_levels = {1 << 15, 1 << 15};
  config.video.levels.clear();
  CHECK_THROWS_WITH(config.validate(), ContainsSubstring("31 bits"));
  const ModelConfig read = parse_model_config(to_json(extra_config()), "text");
  CHECK(read.video.extra_levels == std::vector<std::int64_t>{4, 2});
  CHECK(read.video.extra_width == 5);
}
