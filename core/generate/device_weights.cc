#include "core/generate/device_weights.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace orrery::decode {

namespace {

Tensor uploaded(const Floats& values, Device device) {
  if (values.empty()) return {};
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).to(device);
}

Tensor uploaded(const std::vector<std::int32_t>& values, Device device) {
  if (values.empty()) return {};
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).to(device);
}

Tensor uploaded(const Tensor& x, Device device) { return x.defined() ? x.to(device) : x; }

// Matrices of one width and dtype, one below the other.
DeviceMatrix stacked(const std::vector<const Matrix*>& parts, Device device) {
  std::int64_t rows = 0;
  for (const Matrix* part : parts) rows += part->rows();
  const Tensor& like = parts[0]->values();
  const Tensor values = Tensor::empty({rows, like.dim(1)}, like.dtype());
  Floats scales;
  auto* to = static_cast<std::byte*>(values.raw());
  for (const Matrix* part : parts) {
    const Tensor& from = part->values();
    ORRERY_ASSERT(from.dtype() == like.dtype() && from.dim(1) == like.dim(1) && from.contiguous(),
                  "[decoder] matrices ", to_string(like.shape()), " and ", to_string(from.shape()), " in one");
    std::memcpy(to, from.raw(), static_cast<std::size_t>(from.bytes()));
    to += from.bytes();
    if (part->scales() != nullptr) scales.insert(scales.end(), part->scales(), part->scales() + part->rows());
  }
  return {values.to(device), uploaded(scales, device)};
}

DeviceMatrix stacked(const std::vector<Matrix>& parts, Device device) {
  std::vector<const Matrix*> each;
  for (const Matrix& part : parts) each.push_back(&part);
  return stacked(each, device);
}

DeviceHyper uploaded(const PackedHyper& from, Device device) {
  if (!from.fn.defined()) return {};
  return {from.fn.values().to(device), uploaded(from.base, device), uploaded(from.scale, device)};
}

// Rows begin where four floats can be read at once.
std::int64_t aligned(std::int64_t floats) { return (floats + 3) / 4 * 4; }

}  // namespace

// The rings' lengths and every layer's place.
void DeviceWeights::lay_out(const ModelConfig& config, std::int64_t sequence_tokens) {
  std::int64_t longest = config.video.group();
  for (const DeviceLayer& layer : layers)
    if (layer.rows.rate > 0) {
      cache.unit = std::lcm(cache.unit, layer.rows.rate);
      longest = std::max(longest, layer.rows.rate);
    }
  cache.id_ring = longest + sequence_tokens;
  cache.window_ring = config.sliding_window + sequence_tokens;
  std::int64_t at = aligned(1 + cache.id_ring);
  const auto take = [&at](std::int64_t floats) {
    const std::int64_t begin = at;
    at += aligned(floats);
    return begin;
  };
  const auto grow = [this](const StepRows& rows, std::int64_t dim) {
    parts.push_back(grown);
    grown += aligned(cache.unit / rows.rate * dim);
    return parts.back();
  };
  for (DeviceLayer& layer : layers) {
    if (layer.latent) {
      layer.rows.grown = grow(layer.rows, config.kv_lora_rank + config.qk_rope_head_dim);
      if (layer.keys.rows.rate > 0) layer.keys.rows.grown = grow(layer.keys.rows, layer.keys.dim);
      continue;
    }
    layer.rows.window = take(cache.window_ring * config.head_dim);
    for (StepCompressor* compressor : {&layer.entries, &layer.keys}) {
      if (compressor->channels == 0) continue;
      compressor->raw_ring = compressor->channels / compressor->dim * compressor->rows.rate + sequence_tokens;
      compressor->rows.window = take(compressor->raw_ring * 2 * compressor->channels);
      compressor->rows.grown = grow(compressor->rows, compressor->dim);
    }
    layer.rows.grown = layer.entries.rows.grown;
  }
  parts.push_back(grown);
  cache.fixed = at;
}

void DeviceWeights::add_latent(const Decoder::Packed& packed, const PackedLayer& from, Device device,
                               DeviceLayer& layer) const {
  const ModelConfig& config = packed.config;
  const PackedLatent& latent = *from.latent;
  std::vector<const Matrix*> in{&from.q_a, &latent.kv_a}, queries{&from.q_b};
  layer.latent = true, layer.rows.rate = 1;
  layer.key_column = config.q_lora_rank;
  if (from.kind == AttentionKind::dsa) {
    layer.index_key_column = layer.key_column + config.kv_lora_rank + config.qk_rope_head_dim;
    layer.index_weights_column = layer.index_key_column + config.index_head_dim;
    in.push_back(&latent.index_k), in.push_back(&from.index_weights), queries.push_back(&from.index_q);
    layer.keys.rows.rate = 1, layer.keys.dim = config.index_head_dim, layer.keys.rounded = packed.dtype;
    layer.index_norm = uploaded(latent.index_norm, device), layer.index_bias = uploaded(latent.index_norm_bias, device);
  }
  layer.in = stacked(in, device), layer.q = stacked(queries, device);
  layer.row_norm = uploaded(latent.kv_a_norm, device);
  layer.key_up = stacked(latent.key_up, device), layer.value_up = stacked(latent.value_up, device);
  layer.o_b = stacked({&latent.o}, device);
}

void DeviceWeights::add_window(const Decoder::Packed& packed, const PackedLayer& from, Device device,
                               DeviceLayer& layer) const {
  const ModelConfig& config = packed.config;
  layer.key_norm = uploaded(from.kv_norm, device), layer.sinks = uploaded(from.sinks, device);
  std::vector<const Matrix*> in{&from.q_a, &from.kv}, queries{&from.q_b};
  std::int64_t columns = config.q_lora_rank + config.head_dim;
  layer.key_column = config.q_lora_rank;
  layer.rows.rate = from.kind == AttentionKind::sliding ? 0 : config.compress_rate(from.kind);
  const auto add = [&](const PackedCompressor& compressor, std::int64_t dim) {
    StepCompressor to;
    to.rows.rate = layer.rows.rate;
    to.column = columns, to.channels = compressor.channels, to.dim = dim;
    columns += 2 * compressor.channels;
    in.push_back(&compressor.kv), in.push_back(&compressor.gate);
    layer.kept.push_back(uploaded(compressor.bias, device));
    to.bias = floats(layer.kept.back());
    layer.kept.push_back(uploaded(compressor.norm, device));
    to.norm = floats(layer.kept.back());
    to.rounded = compressor.index ? packed.dtype : DType::f32;
    return to;
  };
  if (from.compressor.kv.defined()) layer.entries = add(from.compressor, config.head_dim);
  if (from.kind == AttentionKind::csa) {
    layer.keys = add(from.index_compressor, config.index_head_dim);
    layer.index_weights_column = columns;
    in.push_back(&from.index_weights), queries.push_back(&from.index_q);
  }
  layer.in = stacked(in, device), layer.q = stacked(queries, device);
  layer.o_a = stacked(from.o_a, device), layer.o_b = stacked({&from.o_b}, device);
}

DeviceLayer DeviceWeights::layer(const Decoder::Packed& packed, const PackedLayer& from, Device device) const {
  DeviceLayer layer;
  layer.kind = from.kind, layer.mlp = from.mlp;
  layer.attention_hc = uploaded(from.attention_hc, device), layer.mlp_hc = uploaded(from.mlp_hc, device);
  layer.input_norm = uploaded(from.input_norm, device), layer.post_norm = uploaded(from.post_norm, device);
  layer.q_a_norm = uploaded(from.q_a_norm, device);
  from.latent ? add_latent(packed, from, device, layer) : add_window(packed, from, device, layer);
  if (from.gate.defined()) layer.gate = stacked({&from.gate}, device);
  layer.router_bias = uploaded(from.router_bias, device), layer.tid2eid = uploaded(from.tid2eid, device);
  layer.gate_up = stacked(from.gate_up, device), layer.down = stacked(from.down, device);
  return layer;
}

void DeviceWeights::add_codes(const CodeDraw& from, Device device) {
  codes.bias = uploaded(from.bias_, device), codes.first = uploaded(from.first_, device);
  codes.earlier = uploaded(from.earlier_, device);
  codes.out = uploaded(from.out_, device), codes.out_bias = uploaded(from.out_bias_, device);
  StepDrawArgs& args = codes.args;
  args.row_size = from.row_size(), args.vocab = from.vocab_, args.ids = ids;
  args.unit_count = static_cast<std::int64_t>(from.bias_.size()), args.unit_width = from.width_;
  args.bias = floats(codes.bias), args.first = floats(codes.first), args.earlier = floats(codes.earlier);
  args.out = floats(codes.out), args.out_bias = floats(codes.out_bias);
  if (ids.digits == 0) return;  // else the first digits are not looked at
  args.digits = static_cast<std::int32_t>(from.levels_.size());
  for (std::size_t i = 0; i < from.levels_.size(); ++i)
    args.digit_levels[i] = static_cast<std::int32_t>(from.levels_[i]);
}

DeviceWeights::DeviceWeights(const Decoder::Packed& packed, Device device, std::int64_t sequence_tokens) {
  const ModelConfig& config = packed.config;
  const auto most = static_cast<std::size_t>(StepIds::kMostDigits);
  ORRERY_CHECK(config.video.levels.size() <= most && config.video.extra_levels.size() <= most, "[decoder] codes of ",
               config.video.levels.size(), " and ", config.video.extra_levels.size(), " digits, expected at most ",
               most, " each on ", name_of(device));
  ids.first_code = static_cast<std::int32_t>(config.first_code());
  ids.table_codes = static_cast<std::int32_t>(std::max<std::int64_t>(1, config.table_codes()));
  for (const std::int64_t level : config.video.extra_levels)
    ids.levels[ids.digits++] = static_cast<std::int32_t>(level);
  embed = packed.embed.table.to(device), embed_extra = uploaded(packed.embed.extra, device);
  recall = uploaded(packed.recall.table, device), recall_extra = uploaded(packed.recall.extra, device);
  places = uploaded(packed.places, device);
  main_frequencies = uploaded(packed.main_frequencies, device);
  compress_frequencies = uploaded(packed.compress_frequencies, device);
  const RopeAxes::Tables tables = packed.axes.tables();
  axes = uploaded(tables.axes, device), cells = uploaded(tables.cells, device);
  rope = {integers(axes), integers(cells),   tables.group,          tables.columns,
          tables.header,  tables.frame_mark, tables.first_in_frame, static_cast<std::int32_t>(packed.pairs())};
  for (const PackedLayer& from : packed.layers) layers.push_back(layer(packed, from, device));
  hc_head = uploaded(packed.hc_head, device);
  norm = uploaded(packed.norm, device);
  head = stacked({&packed.head}, device);
  add_codes(packed.codes, device);
  lay_out(config, sequence_tokens);
}

}  // namespace orrery::decode
