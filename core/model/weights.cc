#include "core/model/weights.h"

#include <cmath>

namespace orrery {

namespace {

// What matrices hold.
enum class Fill { random, none, shapes };

// Makes tensors and enters them in the list under "prefix" + name.
class Builder {
 public:
  Builder(const ModelConfig& config, Fill fill, Random* random, ParameterList& list)
      : config_(config), fill_(fill), random_(random), list_(list) {}

  Tensor matrix(const std::string& name, Shape shape, double deviation_scale = 1) {
    return add(name, normal(std::move(shape), deviation_scale), ParameterKind::matrix);
  }
  Tensor embedding(const std::string& name, Shape shape) {
    return add(name, normal(std::move(shape), 1), ParameterKind::embedding);
  }
  Tensor constant(const std::string& name, Shape shape, float value) {
    return add(name, Tensor::full(std::move(shape), value), ParameterKind::vector);
  }
  Tensor buffer(const std::string& name, Tensor value) { return add(name, std::move(value), ParameterKind::buffer); }

  CompressorWeights compressor(const std::string& prefix, std::int64_t dim, std::int64_t rate, bool overlap) {
    const std::int64_t channels = overlap ? 2 * dim : dim;
    CompressorWeights weights;
    weights.kv_proj = matrix(prefix + "kv_proj.weight", {channels, config_.hidden_size});
    weights.gate_proj = matrix(prefix + "gate_proj.weight", {channels, config_.hidden_size});
    weights.position_bias = constant(prefix + "position_bias", {rate, channels}, 0);
    weights.kv_norm = constant(prefix + "kv_norm.weight", {dim}, 1);
    return weights;
  }

  AttentionWeights latent_attention(const std::string& prefix, AttentionKind kind) {
    const auto& c = config_;
    const std::int64_t heads = c.num_attention_heads, nope = c.qk_nope_head_dim, rope = c.qk_rope_head_dim;
    AttentionWeights weights;
    weights.q_a_proj = matrix(prefix + "q_a_proj.weight", {c.q_lora_rank, c.hidden_size});
    weights.q_a_norm = constant(prefix + "q_a_layernorm.weight", {c.q_lora_rank}, 1);
    weights.q_b_proj = matrix(prefix + "q_b_proj.weight", {heads * (nope + rope), c.q_lora_rank});
    LatentWeights& latent = weights.latent.emplace();
    latent.kv_a_proj = matrix(prefix + "kv_a_proj_with_mqa.weight", {c.kv_lora_rank + rope, c.hidden_size});
    latent.kv_a_norm = constant(prefix + "kv_a_layernorm.weight", {c.kv_lora_rank}, 1);
    latent.kv_b_proj = matrix(prefix + "kv_b_proj.weight", {heads * (nope + c.v_head_dim), c.kv_lora_rank});
    latent.o_proj = matrix(prefix + "o_proj.weight", {c.hidden_size, heads * c.v_head_dim}, residual_scale());
    if (kind == AttentionKind::mla) return weights;
    const std::string indexer = prefix + "indexer.";
    latent.index_q = matrix(indexer + "wq_b.weight", {c.index_n_heads * c.index_head_dim, c.q_lora_rank});
    latent.index_k = matrix(indexer + "wk.weight", {c.index_head_dim, c.hidden_size});
    latent.index_norm = constant(indexer + "k_norm.weight", {c.index_head_dim}, 1);
    latent.index_norm_bias = constant(indexer + "k_norm.bias", {c.index_head_dim}, 0);
    latent.index_weights = matrix(indexer + "weights_proj.weight", {c.index_n_heads, c.hidden_size});
    return weights;
  }

  AttentionWeights attention(const std::string& prefix, AttentionKind kind) {
    const auto& c = config_;
    if (kind == AttentionKind::mla || kind == AttentionKind::dsa) return latent_attention(prefix, kind);
    AttentionWeights weights;
    weights.q_a_proj = matrix(prefix + "q_a_proj.weight", {c.q_lora_rank, c.hidden_size});
    weights.q_a_norm = constant(prefix + "q_a_norm.weight", {c.q_lora_rank}, 1);
    weights.q_b_proj = matrix(prefix + "q_b_proj.weight", {c.num_attention_heads * c.head_dim, c.q_lora_rank});
    weights.kv_proj = matrix(prefix + "kv_proj.weight", {c.head_dim, c.hidden_size});
    weights.kv_norm = constant(prefix + "kv_norm.weight", {c.head_dim}, c.kv_norm_init());
    weights.o_a_proj = matrix(prefix + "o_a_proj.weight",
                              {c.o_groups * c.o_lora_rank, c.num_attention_heads * c.head_dim / c.o_groups});
    weights.o_b_proj =
        matrix(prefix + "o_b_proj.weight", {c.hidden_size, c.o_groups * c.o_lora_rank}, residual_scale());
    weights.sinks = constant(prefix + "sinks", {c.num_attention_heads}, 0);
    if (kind == AttentionKind::sliding) return weights;
    const bool overlap = kind == AttentionKind::csa;
    weights.compressor = compressor(prefix + "compressor.", c.head_dim, c.compress_rate(kind), overlap);
    if (kind == AttentionKind::csa) {
      const std::string indexer = prefix + "compressor.indexer.";
      weights.indexer.emplace();
      weights.indexer->compressor = compressor(indexer, c.index_head_dim, c.csa_rate, true);
      weights.indexer->q_b_proj =
          matrix(indexer + "q_b_proj.weight", {c.index_n_heads * c.index_head_dim, c.q_lora_rank});
      weights.indexer->weights_proj = matrix(indexer + "scorer.weights_proj.weight", {c.index_n_heads, c.hidden_size});
    }
    return weights;
  }

  HyperConnectionWeights hyper_connection(const std::string& prefix) {
    if (config_.hc_mult == 0) return {};
    const std::int64_t n = config_.hc_mult, width = (2 + n) * n;
    return {matrix(prefix + "fn", {width, n * config_.hidden_size}), constant(prefix + "base", {width}, 0),
            constant(prefix + "scale", {3}, 1)};
  }

  HyperConnectionWeights hyper_head(const std::string& prefix) {
    if (config_.hc_mult == 0) return {};
    const std::int64_t n = config_.hc_mult;
    return {matrix(prefix + "hc_fn", {n, n * config_.hidden_size}), constant(prefix + "hc_base", {n}, 0),
            constant(prefix + "hc_scale", {1}, 1)};
  }

  MoeWeights moe(const std::string& prefix, MlpKind kind) {
    const auto& c = config_;
    const std::int64_t experts = c.n_routed_experts, inner = c.moe_intermediate_size, hidden = c.hidden_size;
    MoeWeights weights;
    if (kind == MlpKind::dense) {
      weights.shared_gate = matrix(prefix + "gate_proj.weight", {c.intermediate_size, hidden});
      weights.shared_up = matrix(prefix + "up_proj.weight", {c.intermediate_size, hidden});
      weights.shared_down = matrix(prefix + "down_proj.weight", {hidden, c.intermediate_size}, residual_scale());
      return weights;
    }
    weights.gate = matrix(prefix + "gate.weight", {experts, hidden});
    if (kind == MlpKind::hash_moe) {
      weights.tid2eid = buffer(prefix + "gate.tid2eid", even_hash_table());
    } else {
      weights.bias = buffer(prefix + "gate.e_score_correction_bias", Tensor::zeros({experts}));
    }
    weights.gate_up_proj = matrix(prefix + "experts.gate_up_proj", {experts, 2 * inner, hidden});
    weights.down_proj = matrix(prefix + "experts.down_proj", {experts, hidden, inner}, residual_scale());
    weights.shared_gate = matrix(prefix + "shared_experts.gate_proj.weight", {inner, hidden});
    weights.shared_up = matrix(prefix + "shared_experts.up_proj.weight", {inner, hidden});
    weights.shared_down = matrix(prefix + "shared_experts.down_proj.weight", {hidden, inner}, residual_scale());
    return weights;
  }

  LayerWeights layer(const std::string& prefix, AttentionKind attention_kind, MlpKind mlp_kind) {
    LayerWeights weights;
    weights.attention_kind = attention_kind;
    weights.mlp_kind = mlp_kind;
    weights.input_norm = constant(prefix + "input_layernorm.weight", {config_.hidden_size}, 1);
    weights.post_attention_norm = constant(prefix + "post_attention_layernorm.weight", {config_.hidden_size}, 1);
    weights.attention_hc = hyper_connection(prefix + "attn_hc.");
    weights.mlp_hc = hyper_connection(prefix + "ffn_hc.");
    weights.attention = attention(prefix + "self_attn.", attention_kind);
    weights.moe = moe(prefix + "mlp.", mlp_kind);
    return weights;
  }

 private:
  Tensor add(const std::string& name, Tensor value, ParameterKind kind) {
    list_.add(name, value, kind);
    return value;
  }

  Tensor normal(Shape shape, double deviation_scale) const {
    if (fill_ == Fill::shapes) return Tensor::zeros({1}).alias(shape, Shape(shape.size(), 0), 0);
    if (fill_ == Fill::none) return Tensor::empty(std::move(shape));
    return Tensor::randn(std::move(shape), *random_, static_cast<float>(config_.initializer_range * deviation_scale));
  }

  // GPT-2's rule: what writes into the residual is scaled down with depth.
  double residual_scale() const { return 1 / std::sqrt(2.0 * static_cast<double>(config_.num_hidden_layers())); }

  // Token t goes to experts t·k … t·k + k − 1, modulo their number: even over ids, distinct within a token.
  Tensor even_hash_table() const {
    const std::int64_t k = config_.num_experts_per_tok;
    const Tensor table = Tensor::empty({config_.vocab_size, k}, DType::i32);
    auto* experts = table.data<std::int32_t>();
    for (std::int64_t slot = 0; slot < config_.vocab_size * k; ++slot)
      experts[slot] = static_cast<std::int32_t>(slot % config_.n_routed_experts);
    return table;
  }

  const ModelConfig& config_;
  Fill fill_;
  Random* random_;
  ParameterList& list_;
};

TransformerWeights build_all(const ModelConfig& config, Fill fill, Random* random) {
  config.validate();
  TransformerWeights weights;
  Builder build(config, fill, random, weights.parameters);
  weights.embed = build.embedding("model.embed_tokens.weight", {config.vocab_size, config.hidden_size});
  if (config.video.place_embedding)
    weights.places = build.embedding("model.embed_places.weight", {config.video.group(), config.hidden_size});
  if (config.video.recall_embedding)
    weights.recall = build.embedding("model.embed_recall.weight", {config.vocab_size, config.hidden_size});
  for (std::int64_t i = 0; i < config.num_hidden_layers(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    weights.layers.push_back(build.layer("model.layers." + std::to_string(i) + ".", config.layer_types[index],
                                         config.mlp_layer_types[index]));
  }
  weights.hc_head = build.hyper_head("model.hc_head.");
  weights.norm = build.constant("model.norm.weight", {config.hidden_size}, 1);
  weights.lm_head = build.embedding("lm_head.weight", {config.vocab_size, config.hidden_size});
  if (!config.video.levels.empty()) {
    const Shape shape{config.hidden_size, config.video.digit_values()};
    weights.embed_digits = build.constant("model.embed_digits.weight", shape, 0);
    if (config.video.recall_embedding) weights.recall_digits = build.constant("model.recall_digits.weight", shape, 0);
    weights.head_digits = build.constant("lm_head_digits.weight", shape, 0);
  }
  if (!config.video.extra_levels.empty()) {
    // Zero, so that a model without extra digits goes on from where it was when it gets them.
    const std::int64_t units = config.video.extra_units(), values = config.video.extra_values();
    const Shape shape{config.hidden_size, values};
    weights.embed_extra = build.constant("model.embed_extra.weight", shape, 0);
    if (config.video.recall_embedding) weights.recall_extra = build.constant("model.recall_extra.weight", shape, 0);
    ExtraHeadWeights& head = weights.extra_head;
    head.hidden = build.matrix("extra_head.hidden.weight", {units, config.hidden_size});
    head.hidden_bias = build.constant("extra_head.hidden.bias", {units}, 0);
    if (!config.video.levels.empty())
      head.first = build.embedding("extra_head.first.weight", {units, config.video.digit_values()});
    head.earlier = build.embedding("extra_head.earlier.weight", {units, values});
    head.out = build.embedding("extra_head.out.weight", {values, units});
    head.out_bias = build.constant("extra_head.out.bias", {values}, 0);
  }
  if (config.num_nextn_predict_layers > 0) {
    MtpWeights& mtp = weights.mtp.emplace();
    const Shape square{config.hidden_size, config.hidden_size};
    mtp.e_proj = build.matrix("mtp.0.e_proj.weight", square);
    mtp.h_proj = build.matrix("mtp.0.h_proj.weight", square);
    mtp.e_norm = build.constant("mtp.0.enorm.weight", {config.hidden_size}, 1);
    mtp.h_norm = build.constant("mtp.0.hnorm.weight", {config.hidden_size}, 1);
    mtp.layer = build.layer("mtp.0.", AttentionKind::sliding, MlpKind::moe);
    mtp.hc_head = build.hyper_head("mtp.0.hc_head.");
    mtp.norm = build.constant("mtp.0.norm.weight", {config.hidden_size}, 1);
  }
  return weights;
}

}  // namespace

TransformerWeights TransformerWeights::create(const ModelConfig& config, Random& random) {
  return build_all(config, Fill::random, &random);
}

TransformerWeights TransformerWeights::unfilled(const ModelConfig& config) {
  return build_all(config, Fill::none, nullptr);
}

TransformerWeights TransformerWeights::shapes(const ModelConfig& config) {
  return build_all(config, Fill::shapes, nullptr);
}

}  // namespace orrery
