// The measurement of the experts' use: every token counted once, on text that was not trained on.
#include "apps/pipeline/expert_bench.h"

#include <numeric>

#include "core/base/error.h"
#include "core/io/files.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

ModelConfig small_config() {
  return parse_model_config(R"({"vocab_size": 270, "hidden_size": 16, "moe_intermediate_size": 8,
      "num_hidden_layers": 3, "num_attention_heads": 2, "head_dim": 8, "qk_rope_head_dim": 4, "q_lora_rank": 8,
      "o_groups": 1, "o_lora_rank": 8, "sliding_window": 4, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 2,
      "n_routed_experts": 4, "num_experts_per_tok": 2, "hc_mult": 2, "num_nextn_predict_layers": 0,
      "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention"],
      "mlp_layer_types": ["hash_moe", "moe", "moe"]})",
                            "a test's config");
}

}  // namespace

TEST_CASE("each measured token is counted with all of its experts, in every layer", "[bench]") {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 13; ++i) {
    std::string text;
    for (int word = 0; word < 200; ++word)
      text += "word" + std::to_string(word * (i + 3) % 17) + (word % 9 ? " " : "\n");
    write_file(folder / ("text" + std::to_string(i) + ".md"), text);
  }
  write_file(folder / "picture.bin", std::string("\0\xff\xfe", 3));  // not text: passed over
  pipeline::ExpertBenchOptions options;
  options.text = {folder.path().string()};
  options.steps = 3, options.batch = 2, options.length = 16, options.tokens = 100;
  const pipeline::ExpertBenchResult result = pipeline::bench_experts(small_config(), options);
  CHECK(result.tokens == 128);  // whole batches
  CHECK(result.trained_tokens == 96);
  REQUIRE(result.rows.size() == 3);
  CHECK(result.rows[0].kind == MlpKind::hash_moe);
  for (const pipeline::ExpertBenchRow& row : result.rows)
    CHECK(std::accumulate(row.tokens.begin(), row.tokens.end(), std::int64_t{0}) == 128 * 2);
  const std::string table = pipeline::expert_bench_table(result);
  CHECK_THAT(table, ContainsSubstring("hash_moe") && ContainsSubstring("0 tokens dropped"));
  options.tokens = 1'000'000;
  CHECK_THROWS_WITH(pipeline::bench_experts(small_config(), options), ContainsSubstring("tokens to measure"));
  options.text = {(folder / "none").string()};
  CHECK_THROWS_WITH(pipeline::bench_experts(small_config(), options), ContainsSubstring("does not exist"));
}
