#include "core/model/cost.h"

#include <algorithm>

#include "core/model/weights.h"

namespace orrery {

namespace {

double as_double(std::int64_t value) { return static_cast<double>(value); }
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t record_bytes(const ModelConfig& config, CacheFormat format) {
  if (format == CacheFormat::decoder) return 4 * config.head_dim;
  const std::int64_t plain = config.head_dim - config.qk_rope_head_dim;
  return ceil_div(plain + 2 * config.qk_rope_head_dim + ceil_div(plain, 64), 8) * 8;
}

// V3's latent and its rotary dims: FP8 with an f32 scale every 128, and BF16.
std::int64_t latent_record_bytes(const ModelConfig& config, CacheFormat format) {
  if (format == CacheFormat::decoder) return 4 * (config.kv_lora_rank + config.qk_rope_head_dim);
  return config.kv_lora_rank + 4 * ceil_div(config.kv_lora_rank, 128) + 2 * config.qk_rope_head_dim;
}

std::int64_t index_key_bytes(const ModelConfig& config, CacheFormat format) {
  if (format == CacheFormat::decoder) return 2 * config.index_head_dim;
  return ceil_div(config.index_head_dim, 2) + ceil_div(config.index_head_dim, 32);
}

KindCost& kind_row(ModelCost& cost, const char* kind) {
  for (KindCost& row : cost.kinds)
    if (row.kind == kind) return row;
  cost.kinds.push_back({});
  cost.kinds.back().kind = kind;
  return cost.kinds.back();
}

// Weights: of a matrix or a vector, whole or the share of experts that a token uses.
void count_parameters(const ModelConfig& config, ModelCost& cost) {
  const double used = as_double(config.num_experts_per_tok) / as_double(config.n_routed_experts);
  const TransformerWeights weights = TransformerWeights::shapes(config);
  for (const Parameter& item : weights.parameters.all()) {
    if (item.kind == ParameterKind::buffer) continue;
    const double count = as_double(item.value.numel());
    if (item.name.starts_with("mtp.")) {
      cost.mtp_parameters += count;
      continue;
    }
    cost.parameters += count;
    if (item.name.starts_with("model.embed")) continue;
    const double active = item.name.find(".experts.") != std::string::npos ? count * used : count;
    cost.active_parameters += active;
    constexpr std::string_view kLayers = "model.layers.";
    if (item.name.starts_with(kLayers)) {
      const auto layer = static_cast<std::size_t>(std::stoll(item.name.substr(kLayers.size())));
      kind_row(cost, name_of(config.layer_types[layer])).product_ops += 2 * active;
    } else {
      cost.head_ops += 2 * active;
    }
  }
}

// A layer of latent attention, its products with the latent absorbed (V3.2's index keys in FP8).
void count_latent(const ModelConfig& config, AttentionKind kind, std::int64_t context, CacheFormat format,
                  KindCost& row) {
  const bool indexed = kind == AttentionKind::dsa;
  const std::int64_t attended = indexed ? std::min(config.index_topk, context) : context, dim = config.index_head_dim;
  const std::int64_t key = format == CacheFormat::decoder ? 4 * dim : dim + 4 * ceil_div(dim, 128);
  ++row.layers;
  row.cache_bytes += as_double(context * (latent_record_bytes(config, format) + (indexed ? key : 0)));
  row.attention_ops += 2 * as_double(config.num_attention_heads * (2 * config.kv_lora_rank + config.qk_rope_head_dim)) *
                       as_double(attended);
  // In FP8: twice what weighted_ops takes half of.
  if (indexed) row.indexer_ops += 2 * 2 * as_double(config.index_n_heads * dim) * as_double(context);
}

}  // namespace

double ModelCost::cache_bytes() const {
  double sum = 0;
  for (const KindCost& row : kinds) sum += row.cache_bytes;
  return sum;
}

double ModelCost::weighted_ops() const {
  double sum = head_ops;
  for (const KindCost& row : kinds) sum += row.product_ops + 2 * row.attention_ops + 0.5 * row.indexer_ops;
  return sum;
}

ModelCost count_cost(const ModelConfig& config, std::int64_t context, CacheFormat format) {
  ModelCost cost;
  for (const AttentionKind kind : config.layer_types) kind_row(cost, name_of(kind));  // in the order they come
  count_parameters(config, cost);
  const double record = as_double(record_bytes(config, format)), key = as_double(index_key_bytes(config, format));
  const std::int64_t window = std::min(config.sliding_window, context);
  for (const AttentionKind kind : config.layer_types) {
    KindCost& row = kind_row(cost, name_of(kind));
    if (kind == AttentionKind::mla || kind == AttentionKind::dsa) {
      count_latent(config, kind, context, format, row);
      continue;
    }
    const std::int64_t rate = config.compress_rate(kind), entries = rate > 0 ? context / rate : 0;
    const bool indexed = kind == AttentionKind::csa;
    const std::int64_t attended = window + (indexed ? std::min(config.index_topk, entries) : entries);
    ++row.layers;
    row.cache_bytes += as_double(window + entries) * record + (indexed ? as_double(entries) * key : 0);
    row.attention_ops += 4 * as_double(config.num_attention_heads * config.head_dim) * as_double(attended);
    if (indexed) row.indexer_ops += 2 * as_double(config.index_n_heads * config.index_head_dim) * as_double(entries);
  }
  return cost;
}

ModelCost dense_cost(const ModelConfig& config, std::int64_t context, CacheFormat format) {
  ModelCost cost = count_cost(config, context, format);
  for (KindCost& row : cost.kinds) {
    const bool latent = config.latent();
    row.cache_bytes =
        as_double(row.layers * context * (latent ? latent_record_bytes(config, format) : record_bytes(config, format)));
    const std::int64_t dims = latent ? 2 * config.kv_lora_rank + config.qk_rope_head_dim : 2 * config.head_dim;
    row.attention_ops = 2 * as_double(config.num_attention_heads * dims) * as_double(row.layers) * as_double(context);
    row.indexer_ops = 0;
  }
  return cost;
}

ModelCost v32_cost(std::int64_t context) {
  constexpr double kLayers = 61, kHeads = 128, kLatent = 512, kRope = 64, kIndexHeads = 64, kIndexDim = 128;
  constexpr double kRecord = 656, kIndexKey = 132, kActive = 37e9, kTotal = 671e9;
  constexpr std::int64_t kTopK = 2048;
  ModelCost cost;
  cost.parameters = kTotal;
  cost.active_parameters = kActive;
  KindCost row;
  row.kind = "dsa";
  row.layers = static_cast<std::int64_t>(kLayers);
  const double tokens = as_double(context);
  row.cache_bytes = kLayers * tokens * (kRecord + kIndexKey);
  row.product_ops = 2 * kActive;
  // Scores over latent and rope dims, sums over the latent.
  row.attention_ops = kLayers * kHeads * 2 * (2 * kLatent + kRope) * as_double(std::min(context, kTopK));
  row.indexer_ops = 2 * kLayers * kIndexHeads * kIndexDim * tokens * 2;  // in FP8: twice what weighted_ops halves
  cost.kinds.push_back(row);
  return cost;
}

double gqa8_cache_bytes(std::int64_t layers, std::int64_t context) {
  constexpr double kHeads = 8, kDim = 128, kBytes = 2;
  return 2 * kHeads * kDim * kBytes * as_double(layers) * as_double(context);
}

}  // namespace orrery
