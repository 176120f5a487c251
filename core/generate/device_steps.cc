#include "core/generate/device_steps.h"

#include <algorithm>
#include <cmath>

#include "core/model/layers.h"
#include "core/ops/backends.h"
#include "kernels/api/moe.h"

namespace orrery::decode {

namespace {

// The first rows of a buffer.
TensorView rows_of(const Tensor& buffer, std::int64_t count) {
  TensorView view = buffer.view();
  view.shape[0] = count;
  return view;
}

}  // namespace

DeviceSteps::DeviceSteps(const Decoder::Packed& packed, Device device, const DeviceLimits& limits)
    : config_(packed.config),
      device_(device),
      weights_(packed, device, limits.sequence_tokens),
      most_(limits.step_tokens) {
  const ModelConfig& c = config_;
  const auto buffer = [&](std::int64_t width, DType dtype = DType::f32) {
    return Tensor::empty({most_, std::max<std::int64_t>(1, width)}, dtype, device_);
  };
  const std::int64_t n = packed.streams(), pairs = packed.pairs(), chosen = c.num_experts_per_tok;
  std::int64_t in = 0, q = 0, inner = 0, mixed = c.num_attention_heads * c.head_dim, low = 0;
  for (const DeviceLayer& layer : weights_.layers) {
    in = std::max(in, layer.in.values.dim(0)), q = std::max(q, layer.q.values.dim(0));
    low = std::max(low, layer.o_b.values.dim(1));
    if (layer.latent) mixed = c.num_attention_heads * (c.kv_lora_rank + c.qk_rope_head_dim);
    inner = std::max(inner, layer.down.values.dim(1) * (layer.mlp == MlpKind::dense ? 1 : chosen + 1));
  }
  state_ = buffer(n * c.hidden_size), post_ = buffer(n), comb_ = buffer(n * n);
  hidden_ = buffer(c.hidden_size), part_ = buffer(c.hidden_size);
  main_turns_ = buffer(2 * pairs), compress_turns_ = buffer(2 * pairs);
  in_ = buffer(in), q_ = buffer(q);
  mixed_ = buffer(mixed), low_ = buffer(low);
  if (c.latent()) absorbed_ = buffer(mixed);
  logits_ = buffer(c.n_routed_experts), shares_ = buffer(chosen), active_ = buffer(inner);
  given_ = buffer(chosen, DType::i32), ids_ = buffer(chosen, DType::i32);
}

bool DeviceSteps::reserve(std::int64_t units) {
  if (units <= units_) return false;
  units_ = units;
  std::int64_t entries = 0;
  for (const DeviceLayer& layer : weights_.layers)
    if (layer.kind == AttentionKind::csa || layer.kind == AttentionKind::dsa)
      entries = std::max(entries, units * weights_.cache.unit / layer.rows.rate);
  if (entries == 0) return false;
  scored_ = entries;
  scores_ = Tensor::empty({most_, scored_}, DType::f32, device_);
  chosen_ = Tensor::empty({most_, config_.index_topk}, DType::i32, device_);
  return true;
}

void DeviceSteps::join(const DeviceHyper& hyper, const Tensor& norm, bool first, std::int64_t count) {
  StepJoinArgs args;
  args.count = count, args.width = config_.hidden_size, args.streams = config_.hc_mult;
  args.state = floats(state_), args.part = first ? nullptr : floats(part_);
  args.post = floats(post_), args.comb = floats(comb_);
  args.fn = floats(hyper.fn), args.base = floats(hyper.base), args.scale = floats(hyper.scale);
  args.mixes = hyper.fn.defined() ? hyper.fn.dim(0) : 0;
  args.options.iterations = static_cast<int>(config_.hc_sinkhorn_iters);
  args.options.eps = static_cast<float>(config_.hc_eps);
  args.options.norm_eps = static_cast<float>(config_.rms_norm_eps);
  args.norm = floats(norm), args.out = floats(hidden_);
  ops::run(args);
}

// The projections of the layer's input, and of the queries' latent.
void DeviceSteps::queries(const DeviceLayer& layer, std::int64_t count) {
  StepProductArgs product;
  product.x = floats(hidden_), product.count = count, product.x_stride = config_.hidden_size;
  product.matrix = layer.in.step(), product.y = floats(in_), product.y_stride = layer.in.values.dim(0);
  ops::run(product);
  product.x = floats(in_), product.x_stride = layer.in.values.dim(0);
  product.norm = floats(layer.q_a_norm), product.eps = static_cast<float>(config_.rms_norm_eps);
  product.matrix = layer.q.step(), product.y = floats(q_), product.y_stride = layer.q.values.dim(0);
  ops::run(product);
}

void DeviceSteps::index(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count,
                        std::int64_t query_column) {
  const ModelConfig& c = config_;
  StepIndexArgs index;
  index.tokens = tokens, index.count = count;
  index.q = floats(q_) + query_column, index.q_stride = layer.q.values.dim(0);
  index.w = floats(in_) + layer.index_weights_column, index.w_stride = layer.in.values.dim(0);
  index.heads = c.index_n_heads, index.dim = c.index_head_dim, index.top = c.index_topk;
  index.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(index.dim) * static_cast<double>(index.heads)));
  index.cache = weights_.cache, index.keys = layer.keys.rows;
  index.scores = floats(scores_), index.most = scored_, index.chosen = integers(chosen_);
  ops::run(index);
}

// y [T, groups, rows of a group]: each group's columns of x by its own rows of the matrix.
void DeviceSteps::grouped(const Tensor& x, std::int64_t x_stride, const DeviceMatrix& matrix, std::int64_t groups,
                          const Tensor& y, std::int64_t count) {
  StepProductArgs args;
  args.x = floats(x), args.count = count, args.x_stride = x_stride;
  args.matrix = matrix.step(), args.y = floats(y), args.y_stride = matrix.values.dim(0);
  args.groups = groups, args.x_group = x_stride / groups, args.y_group = args.y_stride / groups;
  ops::run(args);
}

void DeviceSteps::window_attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count) {
  const ModelConfig& c = config_;
  const bool csa = layer.kind == AttentionKind::csa;
  const Tensor& turns = layer.kind == AttentionKind::sliding ? main_turns_ : compress_turns_;
  StepPlaceArgs place;
  place.tokens = tokens, place.count = count, place.q = floats(q_);
  place.in = floats(in_), place.in_stride = layer.in.values.dim(0), place.key_column = layer.key_column;
  place.heads = c.num_attention_heads, place.dim = c.head_dim;
  if (csa) place.index_heads = c.index_n_heads, place.index_dim = c.index_head_dim;
  place.key_norm = floats(layer.key_norm), place.eps = static_cast<float>(c.rms_norm_eps);
  place.turns = floats(turns), place.rope = weights_.rope;
  place.frequencies = floats(weights_.compress_frequencies);
  place.cache = weights_.cache, place.rows = layer.rows, place.entries = layer.entries, place.keys = layer.keys;
  ops::run(place);
  if (csa) index(layer, tokens, count, place.heads * place.dim);

  StepAttentionArgs attend;
  attend.tokens = tokens, attend.count = count, attend.q = floats(q_), attend.q_stride = layer.q.values.dim(0);
  attend.heads = c.num_attention_heads, attend.dim = c.head_dim, attend.window = c.sliding_window;
  attend.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));
  attend.sinks = floats(layer.sinks), attend.cache = weights_.cache, attend.rows = layer.rows;
  if (csa) attend.chosen = integers(chosen_), attend.top = c.index_topk;
  attend.turns = floats(turns), attend.pairs = weights_.rope.pairs, attend.out = floats(mixed_);
  ops::run(attend);
  grouped(mixed_, attend.heads * attend.dim, layer.o_a, c.o_groups, low_, count);
}

void DeviceSteps::latent_attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count) {
  const ModelConfig& c = config_;
  const bool indexed = layer.kind == AttentionKind::dsa;
  const std::int64_t heads = c.num_attention_heads, width = c.kv_lora_rank + c.qk_rope_head_dim,
                     head_dim = c.qk_nope_head_dim + c.qk_rope_head_dim;
  StepLatentArgs place;
  place.tokens = tokens, place.count = count, place.q = floats(q_), place.q_stride = layer.q.values.dim(0);
  place.heads = heads, place.nope = c.qk_nope_head_dim, place.absorbed = floats(absorbed_);
  if (indexed) place.index_heads = c.index_n_heads, place.index_dim = c.index_head_dim;
  place.in = floats(in_), place.in_stride = layer.in.values.dim(0);
  place.row_column = layer.key_column, place.key_column = layer.index_key_column, place.lora = c.kv_lora_rank;
  place.row_norm = floats(layer.row_norm), place.eps = static_cast<float>(c.rms_norm_eps);
  place.index_norm = floats(layer.index_norm), place.index_bias = floats(layer.index_bias);
  place.turns = floats(main_turns_), place.pairs = weights_.rope.pairs;
  place.cache = weights_.cache, place.rows = layer.rows, place.keys = layer.keys.rows;
  place.rounded = layer.keys.rounded;
  ops::run(place);
  if (indexed) index(layer, tokens, count, heads * head_dim);

  // q·(W c) = (Wᵀ q)·c
  StepProductArgs up;
  up.x = floats(q_), up.count = count, up.x_stride = place.q_stride, up.matrix = layer.key_up.step();
  up.y = floats(absorbed_), up.y_stride = heads * width;
  up.groups = heads, up.x_group = head_dim, up.y_group = width;
  ops::run(up);
  StepAttentionArgs attend;
  attend.tokens = tokens, attend.count = count, attend.q = floats(absorbed_), attend.q_stride = heads * width;
  attend.heads = heads, attend.dim = width, attend.scale = latent_scale(c);
  attend.cache = weights_.cache, attend.rows = layer.rows;
  if (indexed) attend.chosen = integers(chosen_), attend.top = c.index_topk;
  attend.out = floats(mixed_);
  ops::run(attend);
  grouped(mixed_, heads * width, layer.value_up, heads, low_, count);
}

void DeviceSteps::attention(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count) {
  queries(layer, count);
  layer.latent ? latent_attention(layer, tokens, count) : window_attention(layer, tokens, count);
  StepProductArgs out;
  out.x = floats(low_), out.count = count, out.x_stride = layer.o_b.values.dim(1);
  out.matrix = layer.o_b.step(), out.y = floats(part_), out.y_stride = config_.hidden_size;
  ops::run(out);
}

void DeviceSteps::experts(const DeviceLayer& layer, const StepToken* tokens, std::int64_t count) {
  const ModelConfig& c = config_;
  StepExpertsArgs args;
  args.x = floats(hidden_), args.count = count, args.width = c.hidden_size, args.inner = layer.down.values.dim(1);
  args.gate_up = layer.gate_up.step(), args.down = layer.down.step();
  args.limit = static_cast<float>(c.swiglu_limit), args.active = floats(active_), args.out = floats(part_);
  if (layer.mlp != MlpKind::dense) {
    StepProductArgs gate;
    gate.x = floats(hidden_), gate.count = count, gate.x_stride = c.hidden_size;
    gate.matrix = layer.gate.step(), gate.y = floats(logits_), gate.y_stride = c.n_routed_experts;
    ops::run(gate);
    RouteArgs route;
    if (layer.mlp == MlpKind::hash_moe) {
      StepTableArgs table;
      table.tokens = tokens, table.count = count, table.width = c.num_experts_per_tok, table.ids = weights_.ids;
      table.table = integers(layer.tid2eid), table.out = integers(given_);
      ops::run(table);
      route.given = rows_of(given_, count);
    }
    route.logits = rows_of(logits_, count), route.bias = layer.router_bias.view();
    route.ids = rows_of(ids_, count), route.weights = rows_of(shares_, count);
    route.options.scaling = static_cast<float>(c.routed_scaling_factor);
    if (layer.mlp == MlpKind::grouped) {
      route.options.score = RouterScore::sigmoid;
      route.options.groups = c.n_group, route.options.kept_groups = c.topk_group;
    }
    ops::run(route);
    args.experts = c.n_routed_experts, args.chosen = c.num_experts_per_tok;
    args.ids = integers(ids_), args.weights = floats(shares_);
  }
  ops::run(args);
}

void DeviceSteps::run(const StepToken* tokens, std::int64_t count) {
  const DeviceWeights& w = weights_;
  StepBeginArgs begin;
  begin.tokens = tokens, begin.count = count, begin.width = config_.hidden_size;
  begin.streams = std::max<std::int64_t>(1, config_.hc_mult), begin.ids = w.ids;
  begin.embed = w.embed.view(), begin.recall = w.recall.view(), begin.places = w.places.view();
  begin.embed_extra = floats(w.embed_extra), begin.recall_extra = floats(w.recall_extra);
  begin.group = static_cast<std::int32_t>(config_.video.group()), begin.cache = w.cache, begin.rope = w.rope;
  begin.main_frequencies = floats(w.main_frequencies), begin.compress_frequencies = floats(w.compress_frequencies);
  begin.state = floats(state_), begin.main_turns = floats(main_turns_), begin.compress_turns = floats(compress_turns_);
  ops::run(begin);
  bool first = true;
  for (const DeviceLayer& layer : w.layers) {
    join(layer.attention_hc, layer.input_norm, first, count);
    attention(layer, tokens, count);
    join(layer.mlp_hc, layer.post_norm, false, count);
    experts(layer, tokens, count);
    first = false;
  }
  join(w.hc_head, w.norm, false, count);
}

void DeviceSteps::head(const std::int32_t* which, std::int64_t count, float* to) {
  StepProductArgs args;
  args.x = floats(hidden_), args.count = count, args.x_stride = config_.hidden_size, args.rows = which;
  args.matrix = weights_.head.step(), args.y = to, args.y_stride = weights_.head.values.dim(0);
  ops::run(args);
}

}  // namespace orrery::decode
