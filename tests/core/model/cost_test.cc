// The counts of the published configurations against the published figures (DeepSeek-V4 report, arXiv 2606.19348).
#include "core/model/cost.h"

#include "core/base/random.h"
#include "core/model/transformer.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kMillion = 1048576;
constexpr double kGiB = 1024.0 * 1024 * 1024;

ModelConfig published(const std::string& name) {
  return read_model_config(std::string(ORRERY_SOURCE_DIR) + "/models/reference/deepseek-" + name + ".json");
}

}  // namespace

TEST_CASE("counting gives the published figures", "[cost]") {
  struct Case {
    const char* name;
    double total, active;                      // published, rounded as they are
    double cache_gib, cache_share, ops_share;  // counted from the report's formats; shares of V3.2's
  };
  for (const Case& at :
       {Case{"v4-flash", 284e9, 13e9, 3.43, 0.0732, 0.099}, Case{"v4-pro", 1.6e12, 49e9, 4.92, 0.105, 0.265}}) {
    INFO(at.name);
    const ModelConfig config = published(at.name);
    const ModelCost cost = count_cost(config, kMillion, CacheFormat::published), v32 = v32_cost(kMillion);
    CHECK(cost.parameters == Approx(at.total).epsilon(0.02));
    CHECK(cost.active_parameters == Approx(at.active).epsilon(0.03));
    CHECK(cost.cache_bytes() / kGiB == Approx(at.cache_gib).epsilon(0.002));
    CHECK(v32.cache_bytes() / kGiB == Approx(46.9).epsilon(0.002));
    CHECK(cost.cache_bytes() / v32.cache_bytes() == Approx(at.cache_share).epsilon(0.02));
    CHECK(cost.weighted_ops() / v32.weighted_ops() == Approx(at.ops_share).epsilon(0.02));
    CHECK(cost.cache_bytes() / gqa8_cache_bytes(config.num_hidden_layers(), kMillion) == Approx(0.02).epsilon(0.02));
    // An entry a token in every layer: what the compression and the choice of entries save.
    const ModelCost dense = dense_cost(config, kMillion, CacheFormat::published);
    CHECK(dense.cache_bytes() == Approx(584.0 * static_cast<double>(config.num_hidden_layers() * kMillion)));
    CHECK(dense.weighted_ops() > 80 * cost.weighted_ops());
  }
}

TEST_CASE("counting V3.2 gives what the others are compared with", "[cost]") {
  const ModelCost counted = count_cost(published("v3.2"), kMillion, CacheFormat::published), known = v32_cost(kMillion);
  CHECK(counted.parameters == Approx(known.parameters).epsilon(0.01));
  CHECK(counted.active_parameters == Approx(known.active_parameters).epsilon(0.02));
  CHECK(counted.cache_bytes() == Approx(known.cache_bytes()));
  CHECK(counted.weighted_ops() == Approx(known.weighted_ops()).epsilon(0.01));
}

TEST_CASE("parameters are counted as the model makes them", "[cost]") {
  ModelConfig config;
  config.vocab_size = 32, config.hidden_size = 16, config.moe_intermediate_size = 8, config.num_attention_heads = 2;
  config.head_dim = 8, config.qk_rope_head_dim = 4, config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8;
  config.index_n_heads = 2, config.index_head_dim = 8, config.n_routed_experts = 4, config.num_experts_per_tok = 2;
  config.hc_mult = 2;
  config.layer_types = {AttentionKind::sliding, AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe, MlpKind::moe};
  Random random(1);
  const Transformer model(config, random);
  const ModelCost cost = count_cost(config, 100, CacheFormat::decoder);
  CHECK(cost.parameters + cost.mtp_parameters == static_cast<double>(model.parameters().trainable_count()));
  CHECK(cost.active_parameters == static_cast<double>(model.active_parameters() + 32 * 16));  // and the head
  // Fewer tokens than the window of 128: all of them, and 100 / 4 and no entries.
  CHECK(cost.kinds[0].cache_bytes == 100 * 8 * 4);
  CHECK(cost.kinds[1].cache_bytes == (100 + 25) * 8 * 4 + 25 * 8 * 2);
  CHECK(cost.kinds[2].cache_bytes == 100 * 8 * 4);
}
