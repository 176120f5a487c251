#include "core/model/config.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/files.h"

namespace orrery {

namespace {

// The attention and routing families: adding one is a row here, a file beside core/model/attention.cc, and a test row.
template <class Kind>
struct Family {
  Kind kind;
  const char* name;
};
constexpr Family<AttentionKind> kAttentionFamilies[] = {
    {AttentionKind::sliding, "sliding_attention"},
    {AttentionKind::csa, "compressed_sparse_attention"},
    {AttentionKind::hca, "heavily_compressed_attention"},
    {AttentionKind::mla, "latent_attention"},
    {AttentionKind::dsa, "indexed_attention"},
};
constexpr Family<MlpKind> kMlpFamilies[] = {
    {MlpKind::hash_moe, "hash_moe"},
    {MlpKind::moe, "moe"},
    {MlpKind::grouped, "sparse"},
    {MlpKind::dense, "dense"},
};

template <class Kind, std::size_t count>
Kind kind_of(const Family<Kind> (&families)[count], const std::string& name, const char* field) {
  std::string known;
  for (const auto& family : families) {
    if (name == family.name) return family.kind;
    known += std::string(known.empty() ? "" : ", ") + family.name;
  }
  throw InputError("[config] " + std::string(field) + " has \"" + name + "\", expected one of " + known);
}

template <class Kind, std::size_t count>
const char* name_in(const Family<Kind> (&families)[count], Kind kind) {
  for (const auto& family : families)
    if (family.kind == kind) return family.name;
  return "?";
}

RopeConfig read_rope(const Fields& fields, RopeConfig rope) {
  rope.theta = fields.number_or("rope_theta", rope.theta);
  const char* spelling = fields.has("rope_type") ? "rope_type" : "type";
  const std::string type = fields.choice_or(spelling, {"default", "yarn"}, "default");
  rope.factor = type == "yarn" ? fields.number("factor") : 1.0;
  rope.original_length = fields.integer_or("original_max_position_embeddings", rope.original_length);
  rope.beta_fast = fields.number_or("beta_fast", rope.beta_fast);
  rope.beta_slow = fields.number_or("beta_slow", rope.beta_slow);
  return rope;
}

void read_ropes(const Fields& fields, ModelConfig& config) {
  config.main_rope.theta = fields.number_or("rope_theta", config.main_rope.theta);
  config.compress_rope.theta = fields.number_or("compress_rope_theta", config.compress_rope.theta);
  if (!fields.has("rope_parameters")) {
    config.compress_rope.factor = 1;
    if (fields.has("rope_scaling"))
      config.compress_rope = read_rope(fields.object("rope_scaling"), config.compress_rope);
    return;
  }
  const Fields ropes = fields.object("rope_parameters");
  if (ropes.has("main")) config.main_rope = read_rope(ropes.object("main"), config.main_rope);
  if (ropes.has("compress")) {
    config.compress_rope = read_rope(ropes.object("compress"), config.compress_rope);
  } else {  // a flat dictionary is the compressed layers' one
    config.compress_rope = read_rope(ropes, config.compress_rope);
  }
}

// V3's and V3.2's fields: no hyper-connections, one rotary table, dense layers first.
void read_latent(const Fields& fields, ModelConfig& config, AttentionKind kind) {
  config.hc_mult = 0;
  config.swiglu_limit = 0;
  config.o_groups = 1;
  config.num_nextn_predict_layers = 0;  // V3's own block is another layer, which is not read
  const std::int64_t layers = fields.integer("num_hidden_layers", {1, 4096});
  const std::int64_t dense = fields.integer_or("first_k_dense_replace", 3, {0, 4096});
  config.layer_types.assign(static_cast<std::size_t>(layers), kind);
  for (std::int64_t i = 0; i < layers; ++i)
    config.mlp_layer_types.push_back(i < dense ? MlpKind::dense : MlpKind::grouped);
  config.main_rope.theta = fields.number_or("rope_theta", config.main_rope.theta);
  for (const char* name : {"rope_scaling", "rope_parameters"})
    if (fields.has(name)) {
      const Fields rope = fields.object(name);
      config.main_rope = read_rope(rope, config.main_rope);
      config.main_rope.mscale = rope.number_or("mscale_all_dim", 0);
      ORRERY_CHECK(rope.number_or("mscale", config.main_rope.mscale) == config.main_rope.mscale, rope.where("mscale"),
                   " is ", rope.number_or("mscale", 0), ", expected mscale_all_dim = ", config.main_rope.mscale);
    }
  config.qk_rope_head_dim = fields.integer("qk_rope_head_dim");
  config.head_dim = config.qk_nope_head_dim + config.qk_rope_head_dim;
  ORRERY_CHECK(fields.boolean_or("norm_topk_prob", true), fields.where("norm_topk_prob"), " is false, expected true");
  ORRERY_CHECK(fields.boolean_or("rope_interleave", true), fields.where("rope_interleave"), " is false, expected true");
}

// Layer kinds: named lists, or the released checkpoints' compress_ratios and num_hash_layers, or the published
// defaults.
void read_layers(const Fields& fields, ModelConfig& config) {
  const auto layers = static_cast<std::size_t>(fields.integer("num_hidden_layers", {1, 4096}));
  if (fields.has("compress_rates")) {
    const Fields rates = fields.object("compress_rates");
    config.csa_rate = rates.integer_or("compressed_sparse_attention", config.csa_rate);
    config.hca_rate = rates.integer_or("heavily_compressed_attention", config.hca_rate);
  }
  if (fields.has("layer_types")) {
    for (const std::string& name : fields.texts("layer_types")) config.layer_types.push_back(attention_kind(name));
  } else if (fields.has("compress_ratios")) {
    for (const std::int64_t ratio : fields.integers("compress_ratios"))
      config.layer_types.push_back(ratio == 0                 ? AttentionKind::sliding
                                   : ratio == config.csa_rate ? AttentionKind::csa
                                                              : AttentionKind::hca);
    if (config.layer_types.size() > layers)
      config.layer_types.resize(layers);  // the released list ends with the MTP block
  } else {
    for (std::size_t i = 0; i < layers; ++i)
      config.layer_types.push_back(i < 2 || i % 2 == 0 ? AttentionKind::hca : AttentionKind::csa);
  }
  ORRERY_CHECK(config.layer_types.size() == layers, "[config] layer_types has ", config.layer_types.size(),
               " entries, expected num_hidden_layers = ", layers);
  if (fields.has("mlp_layer_types")) {
    for (const std::string& name : fields.texts("mlp_layer_types")) config.mlp_layer_types.push_back(mlp_kind(name));
  } else {
    const auto hash_layers = static_cast<std::size_t>(fields.integer_or("num_hash_layers", 3, {0, 4096}));
    for (std::size_t i = 0; i < layers; ++i)
      config.mlp_layer_types.push_back(i < hash_layers ? MlpKind::hash_moe : MlpKind::moe);
  }
}

void read_video(const Fields& fields, VideoConfig& video) {
  video.codes = fields.integer("codes", {1, 1 << 30});
  video.grid_rows = fields.integer("grid_rows", {1, 4096});
  video.grid_columns = fields.integer("grid_columns", {1, 4096});
  video.trained_context = fields.integer("trained_context", {1, 1 << 30});
  video.place_embedding = fields.boolean_or("place_embedding", false);
  video.recall_embedding = fields.boolean_or("recall_embedding", false);
  if (fields.has("levels")) video.levels = fields.integers("levels", {2, 1 << 16});
  if (fields.has("extra_levels")) video.extra_levels = fields.integers("extra_levels", {2, 1 << 16});
  video.extra_width = fields.integer_or("extra_width", video.extra_width, {1, 1 << 16});
  if (fields.has("rope_axes")) video.rope_axes = fields.integers("rope_axes", {0, 1 << 16});
  video.fps = fields.number_or("fps", video.fps, {1, 1000});
}

// The plain integer fields: one row each serves reading and writing.
struct IntegerField {
  const char* name;
  std::int64_t ModelConfig::*member;
};
constexpr IntegerField kIntegerFields[] = {
    {"vocab_size", &ModelConfig::vocab_size},
    {"hidden_size", &ModelConfig::hidden_size},
    {"moe_intermediate_size", &ModelConfig::moe_intermediate_size},
    {"num_attention_heads", &ModelConfig::num_attention_heads},
    {"head_dim", &ModelConfig::head_dim},
    {"q_lora_rank", &ModelConfig::q_lora_rank},
    {"o_groups", &ModelConfig::o_groups},
    {"o_lora_rank", &ModelConfig::o_lora_rank},
    {"sliding_window", &ModelConfig::sliding_window},
    {"index_n_heads", &ModelConfig::index_n_heads},
    {"index_head_dim", &ModelConfig::index_head_dim},
    {"index_topk", &ModelConfig::index_topk},
    {"n_routed_experts", &ModelConfig::n_routed_experts},
    {"n_shared_experts", &ModelConfig::n_shared_experts},
    {"num_experts_per_tok", &ModelConfig::num_experts_per_tok},
    {"hc_mult", &ModelConfig::hc_mult},
    {"hc_sinkhorn_iters", &ModelConfig::hc_sinkhorn_iters},
    {"num_nextn_predict_layers", &ModelConfig::num_nextn_predict_layers},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings},
    {"bos_token_id", &ModelConfig::bos_token_id},
    {"eos_token_id", &ModelConfig::eos_token_id},
};
// Of latent attention, experts in groups, and dense layers.
constexpr IntegerField kLatentFields[] = {
    {"kv_lora_rank", &ModelConfig::kv_lora_rank}, {"qk_nope_head_dim", &ModelConfig::qk_nope_head_dim},
    {"v_head_dim", &ModelConfig::v_head_dim},     {"n_group", &ModelConfig::n_group},
    {"topk_group", &ModelConfig::topk_group},     {"intermediate_size", &ModelConfig::intermediate_size},
};
struct NumberField {
  const char* name;
  double ModelConfig::*member;
};
constexpr NumberField kNumberFields[] = {
    {"routed_scaling_factor", &ModelConfig::routed_scaling_factor},
    {"swiglu_limit", &ModelConfig::swiglu_limit},
    {"hc_eps", &ModelConfig::hc_eps},
    {"rms_norm_eps", &ModelConfig::rms_norm_eps},
    {"initializer_range", &ModelConfig::initializer_range},
};

Json rope_json(const RopeConfig& rope, double partial) {
  Json json = Json::object({{"rope_type", rope.factor > 1 ? "yarn" : "default"},
                            {"rope_theta", rope.theta},
                            {"partial_rotary_factor", partial}});
  if (rope.factor > 1) {
    json.set("factor", rope.factor);
    json.set("original_max_position_embeddings", rope.original_length);
    json.set("beta_fast", rope.beta_fast);
    json.set("beta_slow", rope.beta_slow);
    json.set("attention_factor", 1.0);
  }
  return json;
}

}  // namespace

const char* name_of(AttentionKind kind) { return name_in(kAttentionFamilies, kind); }
const char* name_of(MlpKind kind) { return name_in(kMlpFamilies, kind); }
AttentionKind attention_kind(const std::string& name) { return kind_of(kAttentionFamilies, name, "layer_types"); }
MlpKind mlp_kind(const std::string& name) { return kind_of(kMlpFamilies, name, "mlp_layer_types"); }

std::int64_t ModelConfig::compress_rate(AttentionKind kind) const {
  switch (kind) {
    case AttentionKind::sliding:
    case AttentionKind::mla:
    case AttentionKind::dsa:
      return 0;
    case AttentionKind::csa:
      return csa_rate;
    case AttentionKind::hca:
      return hca_rate;
  }
  return 0;
}

std::int64_t VideoConfig::extra_codes() const {
  std::int64_t product = 1;
  for (const std::int64_t level : extra_levels) product = std::min(product * level, std::int64_t{1} << 31);
  return product;
}

bool ModelConfig::latent() const {
  return std::any_of(layer_types.begin(), layer_types.end(),
                     [](AttentionKind kind) { return kind == AttentionKind::mla || kind == AttentionKind::dsa; });
}

void ModelConfig::validate() const {
  for (const IntegerField& field : kIntegerFields) {
    const std::int64_t value = this->*field.member;
    const std::string_view name = field.name;
    const bool may_be_zero = name.ends_with("_token_id") || name == "num_nextn_predict_layers" ||
                             name == "n_shared_experts" || name == "hc_mult";
    ORRERY_CHECK(value >= (may_be_zero ? 0 : 1), "[config] ", name, " is ", value, ", expected at least ",
                 may_be_zero ? 0 : 1);
  }
  for (const NumberField& field : kNumberFields)
    ORRERY_CHECK(this->*field.member >= 0, "[config] ", field.name, " is ", this->*field.member,
                 ", expected at least 0");
  for (const RopeConfig* rope : {&main_rope, &compress_rope}) {
    ORRERY_CHECK(rope->theta > 0, "[config] rope_theta is ", rope->theta, ", expected more than 0");
    ORRERY_CHECK(rope->factor >= 1 && rope->original_length >= 1, "[config] rope factor is ", rope->factor,
                 " and original_max_position_embeddings ", rope->original_length, ", expected at least 1");
  }
  ORRERY_CHECK(!layer_types.empty(), "[config] num_hidden_layers is 0, expected at least 1");
  ORRERY_CHECK(mlp_layer_types.size() == layer_types.size(), "[config] mlp_layer_types has ", mlp_layer_types.size(),
               " entries, expected num_hidden_layers = ", layer_types.size());
  ORRERY_CHECK(num_attention_heads % o_groups == 0, "[config] num_attention_heads = ", num_attention_heads,
               " is not divisible by o_groups = ", o_groups);
  ORRERY_CHECK(qk_rope_head_dim >= 2 && qk_rope_head_dim % 2 == 0 && qk_rope_head_dim <= head_dim,
               "[config] qk_rope_head_dim is ", qk_rope_head_dim,
               ", expected an even number from 2 to head_dim = ", head_dim);
  const bool indexed = std::any_of(layer_types.begin(), layer_types.end(), [](AttentionKind kind) {
    return kind == AttentionKind::csa || kind == AttentionKind::dsa;
  });
  ORRERY_CHECK(!indexed || qk_rope_head_dim <= index_head_dim, "[config] qk_rope_head_dim = ", qk_rope_head_dim,
               " is larger than index_head_dim = ", index_head_dim);
  ORRERY_CHECK(num_experts_per_tok <= n_routed_experts, "[config] num_experts_per_tok = ", num_experts_per_tok,
               " is over n_routed_experts = ", n_routed_experts);
  for (const IntegerField& field : kLatentFields)
    ORRERY_CHECK(this->*field.member >= 1, "[config] ", field.name, " is ", this->*field.member,
                 ", expected at least 1");
  ORRERY_CHECK(n_routed_experts % n_group == 0, "[config] n_routed_experts = ", n_routed_experts,
               " is not divisible by n_group = ", n_group);
  ORRERY_CHECK(topk_group <= n_group && num_experts_per_tok <= n_routed_experts / n_group * topk_group,
               "[config] topk_group = ", topk_group, " of n_group = ", n_group,
               " groups cannot give num_experts_per_tok = ", num_experts_per_tok, " experts");
  ORRERY_CHECK(hc_mult > 0 || (latent() && num_nextn_predict_layers == 0),
               "[config] hc_mult is 0, expected at least 1 without latent_attention or indexed_attention layers");
  ORRERY_CHECK(n_shared_experts == 1, "[config] n_shared_experts is ", n_shared_experts, ", expected 1");
  ORRERY_CHECK(hc_mult <= 8, "[config] hc_mult is ", hc_mult, ", expected at most 8");
  ORRERY_CHECK(csa_rate >= 1 && hca_rate >= 1, "[config] compress_rates are ", csa_rate, " and ", hca_rate,
               ", expected at least 1");
  ORRERY_CHECK(num_nextn_predict_layers <= 1, "[config] num_nextn_predict_layers is ", num_nextn_predict_layers,
               ", expected 0 or 1");
  ORRERY_CHECK(video.codes % video.extra_codes() == 0, "[config] video.codes = ", video.codes,
               " are not divisible by the product of video.extra_levels = ", video.extra_codes());
  ORRERY_CHECK(table_codes() < vocab_size, "[config] video.codes = ", video.codes, " need ", table_codes(),
               " rows of the tables and do not fit vocab_size = ", vocab_size);
  ORRERY_CHECK(ids() <= std::numeric_limits<std::int32_t>::max(), "[config] vocab_size = ", vocab_size,
               " and video.codes = ", video.codes, " make more ids than 31 bits hold");
  std::int64_t digit_codes = 1;
  for (const std::int64_t level : video.levels) digit_codes = std::min(digit_codes * level, vocab_size + 1);
  const std::vector<std::int64_t>& axes = video.rope_axes;
  ORRERY_CHECK(
      axes.empty() || (axes.size() == 3 && axes[0] + axes[1] + axes[2] == qk_rope_head_dim / 2),
      "[config] video.rope_axes are not three counts of pairs that make qk_rope_head_dim / 2 = ", qk_rope_head_dim / 2);
  ORRERY_CHECK(axes.empty() || !latent(), "[config] video.rope_axes with ", name_of(layer_types[0]),
               ", expected none: only DeepSeek-V4's layers have them");
  ORRERY_CHECK(video.levels.empty() || digit_codes == table_codes(),
               "[config] video.levels and video.extra_levels do not make video.codes = ", video.codes);
}

ModelConfig parse_model_config(const std::string& json_text, const std::string& source) {
  const Json json = Json::parse(json_text, source);
  const Fields fields(json, source);
  ModelConfig config;
  for (const IntegerField& field : kIntegerFields)
    config.*field.member = fields.integer_or(field.name, config.*field.member);
  for (const IntegerField& field : kLatentFields)
    config.*field.member = fields.integer_or(field.name, config.*field.member);
  for (const NumberField& field : kNumberFields)
    config.*field.member = fields.number_or(field.name, config.*field.member);
  const std::string type = fields.text_or("model_type", "deepseek_v4");
  if (type == "deepseek_v3" || type == "deepseek_v32") {
    read_latent(fields, config, type == "deepseek_v3" ? AttentionKind::mla : AttentionKind::dsa);
    config.validate();
    return config;
  }
  const std::string scoring = fields.text_or("scoring_func", "sqrtsoftplus");
  ORRERY_CHECK(scoring == "sqrtsoftplus", "[config] scoring_func is \"", scoring, "\", expected \"sqrtsoftplus\"");
  read_layers(fields, config);
  read_ropes(fields, config);
  double partial = 64.0 / 512.0;
  if (fields.has("qk_rope_head_dim")) {
    config.qk_rope_head_dim = fields.integer("qk_rope_head_dim");
  } else {
    if (fields.has("rope_parameters") && fields.object("rope_parameters").has("main"))
      partial = fields.object("rope_parameters").object("main").number_or("partial_rotary_factor", partial);
    partial = fields.number_or("partial_rotary_factor", partial);
    config.qk_rope_head_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * partial);
  }
  if (fields.has("video")) read_video(fields.object("video"), config.video);
  config.validate();
  return config;
}

ModelConfig read_model_config(const std::string& path) { return parse_model_config(read_file(path), path); }

namespace {

std::string latent_json(const ModelConfig& config) {
  const bool indexed = config.layer_types[0] == AttentionKind::dsa;
  Json json = Json::object(
      {{"model_type", indexed ? "deepseek_v32" : "deepseek_v3"},
       {"architectures", Json(Json::Array{indexed ? "DeepseekV32ForCausalLM" : "DeepseekV3ForCausalLM"})}});
  json.set("num_hidden_layers", config.num_hidden_layers());
  for (const IntegerField& field : kIntegerFields)
    if (std::string_view(field.name) != "head_dim") json.set(field.name, config.*field.member);
  for (const IntegerField& field : kLatentFields) json.set(field.name, config.*field.member);
  for (const NumberField& field : kNumberFields) json.set(field.name, config.*field.member);
  json.set("num_key_value_heads", config.num_attention_heads);
  json.set("tie_word_embeddings", false);
  json.set("qk_rope_head_dim", config.qk_rope_head_dim);
  json.set("first_k_dense_replace", static_cast<std::int64_t>(std::count(
                                        config.mlp_layer_types.begin(), config.mlp_layer_types.end(), MlpKind::dense)));
  Json rope = rope_json(config.main_rope, 1);
  if (config.main_rope.mscale > 0) {
    rope.set("mscale", config.main_rope.mscale);
    rope.set("mscale_all_dim", config.main_rope.mscale);
  }
  json.set("rope_parameters", rope);
  return json.dump(2) + "\n";
}

}  // namespace

std::string to_json(const ModelConfig& config) {
  if (config.latent()) return latent_json(config);
  Json json =
      Json::object({{"model_type", "deepseek_v4"}, {"architectures", Json(Json::Array{"DeepseekV4ForCausalLM"})}});
  json.set("num_hidden_layers", config.num_hidden_layers());
  for (const IntegerField& field : kIntegerFields) json.set(field.name, config.*field.member);
  for (const NumberField& field : kNumberFields) json.set(field.name, config.*field.member);
  if (std::any_of(config.mlp_layer_types.begin(), config.mlp_layer_types.end(),
                  [](MlpKind kind) { return kind == MlpKind::grouped || kind == MlpKind::dense; }))
    for (const IntegerField& field : kLatentFields) json.set(field.name, config.*field.member);
  json.set("num_key_value_heads", 1);
  json.set("scoring_func", "sqrtsoftplus");
  json.set("tie_word_embeddings", false);
  const double partial = static_cast<double>(config.qk_rope_head_dim) / static_cast<double>(config.head_dim);
  json.set("partial_rotary_factor", partial);
  json.set("qk_rope_head_dim", config.qk_rope_head_dim);
  json.set("rope_theta", config.main_rope.theta);
  json.set("compress_rope_theta", config.compress_rope.theta);
  json.set("rope_parameters", Json::object({{"main", rope_json(config.main_rope, partial)},
                                            {"compress", rope_json(config.compress_rope, partial)}}));
  json.set("compress_rates", Json::object({{"compressed_sparse_attention", config.csa_rate},
                                           {"heavily_compressed_attention", config.hca_rate}}));
  Json layers = Json::array(), mlps = Json::array();
  for (const AttentionKind kind : config.layer_types) layers.push_back(name_of(kind));
  for (const MlpKind kind : config.mlp_layer_types) mlps.push_back(name_of(kind));
  json.set("layer_types", layers);
  json.set("mlp_layer_types", mlps);
  if (config.video.codes > 0) {
    Json video = Json::object({{"codes", config.video.codes},
                               {"grid_rows", config.video.grid_rows},
                               {"grid_columns", config.video.grid_columns},
                               {"trained_context", config.video.trained_context},
                               {"place_embedding", config.video.place_embedding},
                               {"recall_embedding", config.video.recall_embedding},
                               {"levels", config.video.levels},
                               {"fps", config.video.fps}});
    if (!config.video.extra_levels.empty()) {
      video.set("extra_levels", config.video.extra_levels);
      video.set("extra_width", config.video.extra_width);
    }
    if (!config.video.rope_axes.empty()) video.set("rope_axes", config.video.rope_axes);
    json.set("video", video);
  }
  return json.dump(2) + "\n";
}

}  // namespace orrery
