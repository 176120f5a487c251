// From the transformer's tensors to what decoding reads.
#include "core/generate/packed.h"

#include "core/autograd/autograd.h"
#include "core/model/rope_table.h"
#include "core/ops/elementwise.h"
#include "core/ops/shape.h"
#include "core/tensor/quantize.h"

namespace orrery {

namespace {

decode::PackedHyper pack_hyper(const HyperConnectionWeights& weights) {
  // mHC stays in f32: it is small, and steers everything. V3 has none.
  if (!weights.fn.defined()) return {};
  return {{weights.fn.detach(), {}}, weights.base.to_vector(), weights.scale.to_vector()};
}

}  // namespace

Matrix Decoder::Packed::pack(const Tensor& w) const {
  if (dtype != DType::i8) return {ops::cast(w.detach(), dtype), {}};
  QuantizedRows rows = quantize_rows(w.detach());
  return {std::move(rows.values), std::move(rows.scales)};
}

Tensor Decoder::Packed::pack_table(const Tensor& w) const {
  return ops::cast(w.detach(), dtype == DType::i8 ? DType::bf16 : dtype);
}

decode::PackedTable Decoder::Packed::pack_table(const DigitTable& from) const {
  decode::PackedTable packed{pack_table(with_digits(from.rows, from.digits, config)), {}};
  if (from.extra.defined()) packed.extra = ops::transpose(from.extra.detach(), 0, 1).to_vector();
  return packed;
}

decode::PackedCompressor Decoder::Packed::pack_compressor(const CompressorWeights& from, bool index) const {
  return {pack(from.kv_proj),       pack(from.gate_proj), from.position_bias.to_vector(),
          from.kv_norm.to_vector(), from.kv_proj.dim(0),  index};
}

void Decoder::Packed::pack_attention(const AttentionWeights& a, decode::PackedLayer& layer) const {
  layer.kv_norm = a.kv_norm.to_vector();
  layer.sinks = a.sinks.to_vector();
  layer.kv = pack(a.kv_proj);
  layer.o_b = pack(a.o_b_proj);
  for (std::int64_t g = 0; g < config.o_groups; ++g)
    layer.o_a.push_back(pack(ops::narrow(a.o_a_proj, 0, g * config.o_lora_rank, config.o_lora_rank).clone()));
  if (a.compressor) layer.compressor = pack_compressor(*a.compressor, /*index=*/false);
  if (a.indexer) {
    layer.index_compressor = pack_compressor(a.indexer->compressor, /*index=*/true);
    layer.index_q = pack(a.indexer->q_b_proj);
    layer.index_weights = pack(a.indexer->weights_proj);
  }
}

void Decoder::Packed::pack_latent(const AttentionWeights& a, decode::PackedLayer& layer) const {
  const LatentWeights& from = *a.latent;
  decode::PackedLatent to;
  to.kv_a = pack(from.kv_a_proj);
  to.kv_a_norm = from.kv_a_norm.to_vector();
  to.o = pack(from.o_proj);
  const std::int64_t nope = config.qk_nope_head_dim, v = config.v_head_dim;
  for (std::int64_t h = 0; h < config.num_attention_heads; ++h) {
    const std::int64_t first = h * (nope + v);
    to.key_up.push_back(pack(ops::transpose(ops::narrow(from.kv_b_proj, 0, first, nope), 0, 1).clone()));
    to.value_up.push_back(pack(ops::narrow(from.kv_b_proj, 0, first + nope, v).clone()));
  }
  if (from.index_k.defined()) {
    layer.index_q = pack(from.index_q);
    layer.index_weights = pack(from.index_weights);
    to.index_k = pack(from.index_k);
    to.index_norm = from.index_norm.to_vector();
    to.index_norm_bias = from.index_norm_bias.to_vector();
  }
  layer.latent = std::move(to);
}

decode::PackedLayer Decoder::Packed::pack_layer(const LayerWeights& from) const {
  decode::PackedLayer layer;
  layer.kind = from.attention_kind;
  layer.mlp = from.mlp_kind;
  layer.attention_hc = pack_hyper(from.attention_hc);
  layer.mlp_hc = pack_hyper(from.mlp_hc);
  layer.input_norm = from.input_norm.to_vector();
  layer.post_norm = from.post_attention_norm.to_vector();
  layer.q_a_norm = from.attention.q_a_norm.to_vector();
  layer.q_a = pack(from.attention.q_a_proj);
  layer.q_b = pack(from.attention.q_b_proj);
  from.attention.latent ? pack_latent(from.attention, layer) : pack_attention(from.attention, layer);
  const MoeWeights& m = from.moe;
  if (m.gate.defined()) layer.gate = {m.gate.detach(), {}};  // routing in f32, as in training
  if (m.bias.defined()) layer.router_bias = m.bias.to_vector();
  if (m.tid2eid.defined())
    layer.tid2eid.assign(m.tid2eid.data<std::int32_t>(), m.tid2eid.data<std::int32_t>() + m.tid2eid.numel());
  const std::int64_t inner = config.moe_intermediate_size, hidden = config.hidden_size;
  for (std::int64_t e = 0; m.gate.defined() && e < config.n_routed_experts; ++e) {
    layer.gate_up.push_back(pack(m.gate_up_proj.alias({2 * inner, hidden}, {hidden, 1}, e * 2 * inner * hidden)));
    layer.down.push_back(pack(m.down_proj.alias({hidden, inner}, {inner, 1}, e * hidden * inner)));
  }
  layer.gate_up.push_back(pack(ops::concat({m.shared_gate.detach(), m.shared_up.detach()}, 0)));
  layer.down.push_back(pack(m.shared_down));
  return layer;
}

Decoder::Packed::Packed(const Transformer& model, DType weights)
    : config(model.config()), axes(config), dtype(weights), codes(config, model.weights()) {
  const NoGrad guard;
  const TransformerWeights& w = model.weights();
  embed = pack_table({w.embed, w.embed_digits, w.embed_extra});
  if (w.places.defined()) places = pack_table(w.places);
  if (w.recall.defined()) recall = pack_table({w.recall, w.recall_digits, w.recall_extra});
  head = pack(config.video.extra_levels.empty() ? model.head()
                                                : ops::concat({model.head(), w.extra_head.hidden.detach()}, 0));
  hc_head = pack_hyper(w.hc_head);
  norm = w.norm.to_vector();
  main_frequencies = rope_frequencies(config.main_rope, config.qk_rope_head_dim);
  compress_frequencies = rope_frequencies(config.compress_rope, config.qk_rope_head_dim);
  for (const LayerWeights& from : w.layers) layers.push_back(pack_layer(from));
  if (!w.mtp) return;
  const MtpWeights& m = *w.mtp;
  mtp = decode::PackedMtp{pack(m.e_proj),     pack(m.h_proj),      m.e_norm.to_vector(), m.h_norm.to_vector(),
                          m.norm.to_vector(), pack_layer(m.layer), pack_hyper(m.hc_head)};
}

Decoder::WeightBytes Decoder::Packed::weight_bytes() const {
  WeightBytes bytes;
  bytes.dense = head.bytes() + hc_head.fn.bytes();
  std::int64_t routing = 0;  // layers that do
  for (const decode::PackedLayer& layer : layers) {
    for (const Matrix* matrix :
         {&layer.attention_hc.fn, &layer.mlp_hc.fn, &layer.q_a, &layer.q_b, &layer.kv, &layer.o_b, &layer.compressor.kv,
          &layer.compressor.gate, &layer.index_compressor.kv, &layer.index_compressor.gate, &layer.index_q,
          &layer.index_weights, &layer.gate, &layer.gate_up.back(), &layer.down.back()})
      bytes.dense += matrix->bytes();
    for (const Matrix& matrix : layer.o_a) bytes.dense += matrix.bytes();
    if (layer.latent) {
      bytes.dense += layer.latent->kv_a.bytes() + layer.latent->o.bytes() + layer.latent->index_k.bytes();
      for (const Matrix& matrix : layer.latent->key_up) bytes.dense += matrix.bytes();
      for (const Matrix& matrix : layer.latent->value_up) bytes.dense += matrix.bytes();
    }
    if (layer.mlp == MlpKind::dense) continue;
    bytes.expert = layer.gate_up[0].bytes() + layer.down[0].bytes();
    ++routing;
  }
  bytes.experts = routing * config.n_routed_experts;
  bytes.experts_token = routing * config.num_experts_per_tok;
  return bytes;
}

}  // namespace orrery
