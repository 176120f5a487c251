// What a user can get wrong about a model: each refusal is one line that names the field and says why.
#include <string>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/generate/decoder.h"
#include "core/io/json.h"
#include "core/model/transformer.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr std::int64_t kVocab = 24, kLongest = 32;

Json valid_config(const std::string& type) {
  Json json = Json::parse(R"({"hidden_size": 16, "moe_intermediate_size": 8, "num_hidden_layers": 2,
      "num_attention_heads": 2, "qk_rope_head_dim": 4, "q_lora_rank": 8, "index_n_heads": 2, "index_head_dim": 8,
      "index_topk": 2, "n_routed_experts": 4, "num_experts_per_tok": 2})",
                          "a test's config");
  json.set("model_type", type);
  json.set("vocab_size", kVocab);
  json.set("max_position_embeddings", kLongest);
  const auto add = [&](std::initializer_list<std::pair<const char*, std::int64_t>> fields) {
    for (const auto& [name, value] : fields) json.set(name, value);
  };
  if (type == "deepseek_v4") {
    add({{"head_dim", 8}, {"o_groups", 2}, {"o_lora_rank", 4}, {"sliding_window", 4}, {"hc_mult", 2}});
    json.set("layer_types", Json::Array{"compressed_sparse_attention", "heavily_compressed_attention"});
  } else {
    add({{"kv_lora_rank", 8}, {"qk_nope_head_dim", 8}, {"v_head_dim", 8}, {"n_group", 2}, {"topk_group", 1}});
    add({{"intermediate_size", 16}, {"first_k_dense_replace", 1}});
  }
  return json;
}

Transformer model_of(const std::string& type) {
  Random random(1);
  return Transformer(parse_model_config(valid_config(type).dump(), "a test's config"), random);
}

std::string refusal(const Json& config) {
  try {
    parse_model_config(config.dump(), "f.json");
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "accepted";
}

struct Wrong {
  const char* field;
  Json value;
  const char* said;  // with the field's name
};

void check_refusals(const std::string& type, const std::vector<Wrong>& list) {
  INFO(type);
  CHECK(refusal(valid_config(type)) == "accepted");
  for (const Wrong& wrong : list) {
    Json json = valid_config(type);
    json.set(wrong.field, wrong.value);
    INFO(wrong.field << " = " << wrong.value.dump());
    CHECK_THAT(refusal(json), ContainsSubstring(wrong.field) && ContainsSubstring(wrong.said));
  }
}

}  // namespace

TEST_CASE("a configuration that contradicts itself is refused by field and reason", "[model][input]") {
  check_refusals("deepseek_v4", {{"num_attention_heads", 3, "not divisible by o_groups = 2"},
                                 {"qk_rope_head_dim", 5, "expected an even number from 2 to head_dim = 8"},
                                 {"qk_rope_head_dim", 10, "expected an even number from 2 to head_dim = 8"},
                                 {"qk_rope_head_dim", 0, "expected"},
                                 {"sliding_window", 0, "is 0, expected at least 1"},
                                 {"sliding_window", -4, "is -4, expected at least 1"},
                                 {"num_experts_per_tok", 5, "is over n_routed_experts = 4"},
                                 {"num_experts_per_tok", 0, "is 0, expected at least 1"},
                                 {"index_topk", 0, "is 0, expected at least 1"},
                                 {"index_head_dim", 2, "qk_rope_head_dim = 4 is larger"},
                                 {"hidden_size", 0, "is 0, expected at least 1"},
                                 {"vocab_size", 0, "is 0, expected at least 1"},
                                 {"n_shared_experts", 2, "is 2, expected 1"},
                                 {"hc_mult", 0, "is 0, expected at least 1"},
                                 {"hc_mult", 9, "is 9, expected at most 8"},
                                 {"rms_norm_eps", -1e-6, "expected at least 0"},
                                 {"rope_theta", 0, "is 0, expected more than 0"},
                                 {"num_hidden_layers", 3, "layer_types has 2 entries"},
                                 {"layer_types", Json::Array{"full_attention", "full_attention"}, "expected one of"},
                                 {"mlp_layer_types", Json::Array{"moe"}, "has 1 entries, expected num_hidden_layers"},
                                 {"compress_rates", Json::object({{"compressed_sparse_attention", 0}}), "expected"},
                                 {"scoring_func", "softmax", "expected \"sqrtsoftplus\""}});
  check_refusals("deepseek_v32", {{"qk_rope_head_dim", 5, "expected an even number"},
                                  {"num_experts_per_tok", 5, "is over n_routed_experts = 4"},
                                  {"num_experts_per_tok", 3, "topk_group = 1 of n_group = 2 groups cannot give"},
                                  {"n_group", 3, "n_routed_experts = 4 is not divisible"},
                                  {"kv_lora_rank", 0, "is 0, expected at least 1"},
                                  {"index_head_dim", 2, "qk_rope_head_dim = 4 is larger"}});
}

TEST_CASE("token ids out of range and contexts too long are refused, whole or step by step", "[model][input]") {
  const std::string type = GENERATE("deepseek_v4", "deepseek_v3", "deepseek_v32");
  INFO(type);
  const NoGrad guard;
  const Transformer model = model_of(type);
  const Decoder decoder(model);
  DecodeState state = decoder.start();
  for (const std::int32_t id : {-1, static_cast<std::int32_t>(kVocab), 2147483647}) {
    const std::vector<std::int32_t> ids = {1, 2, id};
    const std::string said = "token id " + std::to_string(id);
    CHECK_THROWS_WITH(model.forward(Tensor::from(ids, {1, 3})),
                      ContainsSubstring(said + " at position 2 of sequence 0, expected 0 to 23"));
    CHECK_THROWS_WITH(decoder.append(state, ids), ContainsSubstring(said + ", expected 0 to 23"));
  }
  CHECK(state.length() == 0);  // a refused step leaves nothing behind
  const std::vector<std::int32_t> longest(kLongest, 1);
  decoder.append(state, longest);
  const std::vector<std::int32_t> one = {1};
  CHECK_THROWS_WITH(decoder.append(state, one),
                    ContainsSubstring("33 tokens, expected at most max_position_embeddings"));
  CHECK(state.length() == kLongest);
  CHECK_THROWS_WITH(model.forward(Tensor::zeros({1, kLongest + 1}, DType::i32)),
                    ContainsSubstring("33 tokens, expected at most max_position_embeddings = 32"));
  CHECK_THROWS_AS(model.forward(Tensor::zeros({1, 0}, DType::i32)), InputError);
}
