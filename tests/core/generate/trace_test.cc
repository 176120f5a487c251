// Looking inside: a trace changes nothing, and says where the tokens went.
#include <algorithm>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/generate/decoder.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kWindow = 6, kCsaRate = 3, kHcaRate = 5, kTopK = 2;

Transformer small_model() {
  ModelConfig config;
  config.vocab_size = 24, config.hidden_size = 16, config.moe_intermediate_size = 8;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8, config.sliding_window = kWindow;
  config.index_n_heads = 4, config.index_head_dim = 8, config.index_topk = kTopK;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2, config.hc_mult = 2, config.hc_sinkhorn_iters = 3;
  config.csa_rate = kCsaRate, config.hca_rate = kHcaRate, config.initializer_range = 0.4;
  config.num_nextn_predict_layers = 0;
  config.compress_rope = {};
  config.layer_types = {AttentionKind::sliding, AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe, MlpKind::moe};
  Random random(3);
  return Transformer(config, random);
}

std::vector<std::int32_t> some_ids(std::int64_t count) {
  Random random(5);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random.below(24)));
  return ids;
}

}  // namespace

TEST_CASE("a trace changes nothing and does not depend on how the tokens come", "[trace]") {
  const Transformer model = small_model();
  const Decoder decoder(model);
  const std::vector<std::int32_t> ids = some_ids(23);
  const std::span all(ids);
  DecodeState plain = decoder.start(), traced = decoder.start(), parts = decoder.start();
  decoder.append(plain, all.first(20));
  const DecodeTrace whole = decoder.trace(traced, all.first(20));
  CHECK(decoder.append(plain, all.subspan(20)) == decoder.append(traced, all.subspan(20)));
  decoder.append(parts, all.first(9));
  const DecodeTrace late = decoder.trace(parts, all.subspan(9, 11));
  REQUIRE(whole.size() == 3);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    REQUIRE(late[layer].size() == 11);
    for (std::size_t t = 0; t < 11; ++t) {
      const TokenTrace &a = whole[layer][9 + t], &b = late[layer][t];
      CHECK(a.experts == b.experts);
      REQUIRE(a.attended.size() == b.attended.size());
      for (std::size_t i = 0; i < a.attended.size(); ++i) {
        CHECK(a.attended[i].first == b.attended[i].first);
        CHECK(a.attended[i].weight == b.attended[i].weight);
      }
    }
  }
}

TEST_CASE("a trace names the tokens that were seen, and shares that leave something to the sink", "[trace]") {
  const Transformer model = small_model();
  const Decoder decoder(model);
  const std::vector<std::int32_t> ids = some_ids(19);
  DecodeState state = decoder.start();
  const DecodeTrace trace = decoder.trace(state, ids);
  for (std::int64_t t = 0; t < 19; ++t) {
    const std::int64_t window = std::min(kWindow, t + 1);
    const std::int64_t entries[] = {0, std::min(kTopK, (t + 1) / kCsaRate), (t + 1) / kHcaRate};
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const TokenTrace& token = trace[layer][static_cast<std::size_t>(t)];
      REQUIRE(static_cast<std::int64_t>(token.attended.size()) == window + entries[layer]);
      float sum = 0;
      for (std::int64_t i = 0; i < window + entries[layer]; ++i) {
        const TokenTrace::Share& share = token.attended[static_cast<std::size_t>(i)];
        CHECK(share.first >= 0);
        CHECK(share.first + share.count <= t + 1);
        if (i < window) CHECK(share.first == t - window + 1 + i);
        CHECK(share.weight >= 0);
        sum += share.weight;
      }
      CHECK(sum > 0);
      CHECK(sum < 1);
      REQUIRE(token.experts.size() == 2);
      CHECK(token.experts[0] != token.experts[1]);
      CHECK(token.expert_weights[0] + token.expert_weights[1] == Approx(1));
    }
    const MoeWeights& hash = model.weights().layers[0].moe;
    CHECK(trace[0][static_cast<std::size_t>(t)].experts[0] ==
          hash.tid2eid.data<std::int32_t>()[ids[static_cast<std::size_t>(t)] * 2]);
  }
  // The newest HCA entry stands for its own five tokens.
  CHECK(trace[2][18].attended.back().first == 10);
  CHECK(trace[2][18].attended.back().count == 5);
}
