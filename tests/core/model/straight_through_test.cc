// The straight-through option of the indexer's training, in whole models: V4's entries and V3.2's tokens.
#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/transformer.h"
#include "core/ops/loss.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kLength = 40;

Transformer model_of(const std::string& type) {
  const std::string text =
      type == "deepseek_v32"
          ? R"({"model_type": "deepseek_v32", "vocab_size": 40, "hidden_size": 24, "intermediate_size": 16,
          "moe_intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "n_routed_experts": 4,
          "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "kv_lora_rank": 8, "q_lora_rank": 8,
          "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 1,
          "index_n_heads": 4, "index_head_dim": 8, "initializer_range": 0.3, "index_topk": 3})"
          : R"({"model_type": "deepseek_v4", "vocab_size": 40, "hidden_size": 24, "moe_intermediate_size": 8,
          "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 8, "qk_rope_head_dim": 4, "q_lora_rank": 8,
          "o_groups": 1, "o_lora_rank": 8, "sliding_window": 4, "index_n_heads": 4, "index_head_dim": 8,
          "index_topk": 3, "n_routed_experts": 4, "num_experts_per_tok": 2, "hc_mult": 2, "hc_sinkhorn_iters": 3,
          "num_nextn_predict_layers": 0, "initializer_range": 0.3, "mlp_layer_types": ["hash_moe", "moe"],
          "layer_types": ["compressed_sparse_attention", "compressed_sparse_attention"]})";
  Random random(3);
  return Transformer(parse_model_config(text, "a test's config"), random);
}

// Gradients of the next-token loss, whatever else the options ask for.
std::vector<Tensor> language_gradients(const Transformer& model, IndexerTraining indexer, bool checkpoint) {
  Random random(4);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < 2 * kLength; ++i) ids.push_back(static_cast<std::int32_t>(random.below(40)));
  ForwardOptions options;
  options.indexer = indexer;
  options.checkpoint = checkpoint;
  const ForwardResult result = model.forward(Tensor::from(ids, {2, kLength}), options);
  CHECK(result.indexer_loss.defined() == (indexer == IndexerTraining::sparse));
  std::vector<std::int32_t> targets(ids.begin() + 1, ids.end());
  targets.push_back(0);
  backward(ops::linear_cross_entropy(result.hidden, model.head(), Tensor::from(targets, {2 * kLength}),
                                     Tensor::full({2 * kLength}, 1))
               .total);
  std::vector<Tensor> gradients;
  for (const Parameter& item : model.parameters().all()) {
    gradients.push_back(item.value.grad());
    item.value.clear_grad();
  }
  return gradients;
}

}  // namespace

TEST_CASE("straight through, the language loss teaches the indexer and leaves the rest as it was", "[indexer][model]") {
  const std::string type = GENERATE("deepseek_v4", "deepseek_v32");
  INFO(type);
  const Transformer model = model_of(type);
  const bool checkpoint = GENERATE(false, true);
  const auto plain = language_gradients(model, IndexerTraining::sparse, checkpoint),
             through = language_gradients(model, IndexerTraining::straight_through, checkpoint);
  int indexer = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const Parameter& item = model.parameters().all()[i];
    INFO(item.name);
    if (item.name.find(".indexer.") == std::string::npos) {
      REQUIRE(plain[i].defined() == through[i].defined());
      if (plain[i].defined()) CHECK(plain[i].to_vector() == through[i].to_vector());
      continue;
    }
    CHECK_FALSE(plain[i].defined());
    REQUIRE(through[i].defined());
    double size = 0;
    for (const float value : through[i].to_vector()) size += std::abs(double{value});
    CHECK(std::isfinite(size));
    CHECK(size > 0);
    ++indexer;
  }
  CHECK(indexer == (type == "deepseek_v4" ? 12 : 10));  // six tensors a layer, five in V3.2
}
