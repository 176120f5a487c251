// V3.2's indexer learns which tokens the attention looks at, and nothing else learns from it. Parity with transformers
// is in parity_test.cc.
#include <algorithm>
#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/transformer.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kLength = 24;

Transformer indexed_model(std::int64_t top_k) {
  const ModelConfig config = parse_model_config(
      R"({"model_type": "deepseek_v32", "vocab_size": 40, "hidden_size": 24, "intermediate_size": 16,
          "moe_intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "n_routed_experts": 4,
          "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "kv_lora_rank": 8, "q_lora_rank": 8,
          "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 1,
          "index_n_heads": 4, "index_head_dim": 8, "initializer_range": 0.3, "index_topk": )" +
          std::to_string(top_k) + "}",
      "a test's config");
  Random random(3);
  return Transformer(config, random);
}

Tensor some_ids(std::int64_t batch) {
  Random random(4);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < batch * kLength; ++i) ids.push_back(static_cast<std::int32_t>(random.below(40)));
  return Tensor::from(ids, {batch, kLength});
}

ForwardOptions learning(IndexerTraining how) {
  ForwardOptions options;
  options.indexer = how;
  return options;
}

}  // namespace

TEST_CASE("V3.2's indexer learns the attention, dense first, then among the chosen", "[indexer][model]") {
  const IndexerTraining how = GENERATE(IndexerTraining::dense_warmup, IndexerTraining::sparse);
  const Transformer model = indexed_model(/*top_k=*/6);
  const Tensor ids = some_ids(2);
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    const Tensor loss = model.forward(ids, learning(how)).indexer_loss;
    REQUIRE(loss.defined());
    last = loss.item();
    if (step == 0) first = last;
    backward(loss);
    int moved = 0;
    for (const Parameter& item : model.parameters().all()) {
      const Tensor grad = item.value.grad();
      const bool indexer = item.name.find(".indexer.") != std::string::npos;
      INFO(item.name);
      if (!grad.defined()) {
        CHECK_FALSE(indexer);
        continue;
      }
      CHECK(indexer);  // a loss of the indexer's own
      for (std::int64_t i = 0; i < grad.numel(); ++i)
        item.value.data<float>()[i] -= 0.5f * grad.data<float>()[i], grad.data<float>()[i] = 0;
      ++moved;
    }
    CHECK(moved == 10);  // five tensors a layer
  }
  INFO("from " << first << " to " << last);
  CHECK(first > 0);
  CHECK(last < 0.8 * first);
}

TEST_CASE("in the dense warm-up attention sees all tokens, afterwards the chosen ones", "[indexer][model]") {
  const NoGrad guard;
  const Tensor ids = some_ids(1);
  const auto all = indexed_model(kLength).forward(ids).hidden.to_vector();
  const Transformer model = indexed_model(6);
  const auto warm = model.forward(ids, learning(IndexerTraining::dense_warmup)).hidden.to_vector();
  const auto sparse = model.forward(ids, learning(IndexerTraining::sparse)).hidden.to_vector();
  const auto chosen = model.forward(ids).hidden.to_vector();
  CHECK(chosen == sparse);
  double warm_error = 0, sparse_difference = 0, scale = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    warm_error = std::max(warm_error, std::abs(double{all[i]} - warm[i]));
    sparse_difference = std::max(sparse_difference, std::abs(double{all[i]} - sparse[i]));
    scale = std::max(scale, std::abs(double{all[i]}));
  }
  CHECK(warm_error <= 1e-5 * scale);  // f32, another kernel
  CHECK(sparse_difference > 1e-3 * scale);
}

TEST_CASE("V3's contradictions are named", "[model]") {
  const auto with = [](const std::string& fields) {
    return parse_model_config(
        R"({"model_type": "deepseek_v3", "num_hidden_layers": 2, "qk_rope_head_dim": 4)" + fields + "}",
        "a test's config");
  };
  CHECK_THROWS_WITH(with(R"(, "n_group": 7)"), ContainsSubstring("n_group"));
  CHECK_THROWS_WITH(with(R"(, "n_group": 8, "topk_group": 9)"), ContainsSubstring("topk_group"));
  CHECK_THROWS_WITH(with(R"(, "rope_interleave": false)"), ContainsSubstring("rope_interleave"));
  CHECK_THROWS_WITH(with(R"(, "norm_topk_prob": false)"), ContainsSubstring("norm_topk_prob"));
}

TEST_CASE("V3's configuration is written as it is read, and V4's has none of its fields", "[model]") {
  const ModelConfig config = indexed_model(6).config();
  const std::string text = to_json(config);
  CHECK_THAT(text, ContainsSubstring("deepseek_v32") && ContainsSubstring("kv_lora_rank"));
  const ModelConfig again = parse_model_config(text, "what was written");
  CHECK(to_json(again) == text);
  CHECK(again.layer_types == config.layer_types);
  CHECK(again.mlp_layer_types == config.mlp_layer_types);
  const std::string v4 = to_json(parse_model_config(R"({"num_hidden_layers": 3})", "a test's config"));
  for (const char* field : {"kv_lora_rank", "n_group", "\"intermediate_size"})
    CHECK_THAT(v4, !ContainsSubstring(field));
}
