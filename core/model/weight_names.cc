#include "core/model/weight_names.h"

#include <algorithm>
#include <string_view>

namespace orrery {

namespace {

struct Spelling {
  std::string_view canonical, released;
  std::string_view saved = {};  // what save_pretrained writes, where it is neither
};

// Without the layer's prefix.
constexpr Spelling kInLayer[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"attn_hc.fn", "hc_attn_fn"},
    {"attn_hc.base", "hc_attn_base"},
    {"attn_hc.scale", "hc_attn_scale"},
    {"ffn_hc.fn", "hc_ffn_fn"},
    {"ffn_hc.base", "hc_ffn_base"},
    {"ffn_hc.scale", "hc_ffn_scale"},
    {"self_attn.q_a_proj.weight", "attn.wq_a.weight"},
    {"self_attn.q_a_norm.weight", "attn.q_norm.weight"},
    {"self_attn.q_b_proj.weight", "attn.wq_b.weight"},
    {"self_attn.kv_proj.weight", "attn.wkv.weight"},
    {"self_attn.kv_norm.weight", "attn.kv_norm.weight", "attn.norm.weight"},
    {"self_attn.o_a_proj.weight", "attn.wo_a.weight"},
    {"self_attn.o_b_proj.weight", "attn.wo_b.weight"},
    {"self_attn.sinks", "attn.attn_sink"},
    {"self_attn.compressor.kv_proj.weight", "attn.compressor.wkv.weight"},
    {"self_attn.compressor.gate_proj.weight", "attn.compressor.wgate.weight"},
    {"self_attn.compressor.position_bias", "attn.compressor.ape"},
    {"self_attn.compressor.kv_norm.weight", "attn.compressor.norm.weight"},
    {"self_attn.compressor.indexer.kv_proj.weight", "attn.indexer.compressor.wkv.weight"},
    {"self_attn.compressor.indexer.gate_proj.weight", "attn.indexer.compressor.wgate.weight"},
    {"self_attn.compressor.indexer.position_bias", "attn.indexer.compressor.ape"},
    {"self_attn.compressor.indexer.kv_norm.weight", "attn.indexer.compressor.norm.weight"},
    {"self_attn.compressor.indexer.q_b_proj.weight", "attn.indexer.wq_b.weight"},
    {"self_attn.compressor.indexer.scorer.weights_proj.weight", "attn.indexer.weights_proj.weight"},
    {"mlp.gate.weight", "ffn.gate.weight"},
    {"mlp.gate.e_score_correction_bias", "ffn.gate.bias"},
    {"mlp.gate.tid2eid", "ffn.gate.tid2eid"},
    {"mlp.shared_experts.gate_proj.weight", "ffn.shared_experts.w1.weight"},
    {"mlp.shared_experts.down_proj.weight", "ffn.shared_experts.w2.weight"},
    {"mlp.shared_experts.up_proj.weight", "ffn.shared_experts.w3.weight"},
    // The multi-token-prediction block has its own head.
    {"hc_head.hc_fn", "hc_head_fn"},
    {"hc_head.hc_base", "hc_head_base"},
    {"hc_head.hc_scale", "hc_head_scale"},
};

constexpr Spelling kTop[] = {
    {"model.embed_tokens.weight", "embed.weight"}, {"lm_head.weight", "head.weight"},
    {"model.norm.weight", "norm.weight"},          {"model.hc_head.hc_fn", "hc_head_fn"},
    {"model.hc_head.hc_base", "hc_head_base"},     {"model.hc_head.hc_scale", "hc_head_scale"},
};

// One expert's tensors, behind "experts.E.".
constexpr Spelling kExpert[] = {
    {"gate_proj.weight", "w1.weight"}, {"down_proj.weight", "w2.weight"}, {"up_proj.weight", "w3.weight"}};

template <std::size_t count>
const Spelling* find(const Spelling (&table)[count], std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table), [name](const Spelling& row) {
    return name == row.canonical || name == row.released || (!row.saved.empty() && name == row.saved);
  });
  return found == std::end(table) ? nullptr : found;
}

// "layers.3." of "layers.3.attn.sinks": the prefix up to and with the number, or nothing.
std::string_view numbered(std::string_view name, std::string_view start) {
  if (!name.starts_with(start)) return {};
  const std::size_t end = name.find_first_not_of("0123456789", start.size());
  if (end == start.size() || end == std::string_view::npos || name[end] != '.') return {};
  return name.substr(0, end + 1);
}

std::string respelled(const std::string& name, bool released) {
  std::string_view rest = name;
  if (rest.starts_with("model.")) rest.remove_prefix(6);
  std::string_view layer = numbered(rest, "layers.");
  const bool mtp = layer.empty() && !(layer = numbered(rest, "mtp.")).empty();
  if (layer.empty()) {
    const Spelling* row = find(kTop, name);
    if (!row) row = find(kTop, rest);
    return row ? std::string(released ? row->released : row->canonical) : name;
  }
  const std::string prefix = (released || mtp ? "" : "model.") + std::string(layer);
  rest.remove_prefix(layer.size());
  if (const Spelling* row = find(kInLayer, rest))
    return prefix + std::string(released ? row->released : row->canonical);
  for (const std::string_view start : {"mlp.experts.", "ffn.experts."}) {
    const std::string_view expert = numbered(rest, start);
    if (expert.empty()) continue;
    const Spelling* row = find(kExpert, rest.substr(expert.size()));
    if (!row) continue;
    return prefix + (released ? "ffn." : "mlp.") + std::string(expert.substr(4)) +
           std::string(released ? row->released : row->canonical);
  }
  return prefix + std::string(rest);
}

}  // namespace

std::string canonical_name(const std::string& name) { return respelled(name, /*released=*/false); }
std::string released_name(const std::string& name) { return respelled(name, /*released=*/true); }

}  // namespace orrery
