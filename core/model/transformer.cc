#include "core/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/autograd/autograd.h"
#include "core/model/code_digits.h"
#include "core/model/extra_head.h"
#include "core/model/layers.h"
#include "core/model/rope_axes.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/hyper_connection.h"
#include "core/ops/indexing.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

ops::HyperConnectionOptions hc_options(const ModelConfig& config) {
  ops::HyperConnectionOptions options;
  options.iterations = static_cast<int>(config.hc_sinkhorn_iters);
  options.eps = static_cast<float>(config.hc_eps);
  options.norm_eps = static_cast<float>(config.rms_norm_eps);
  return options;
}

// [T, hidden] → [T, n, hidden]: every stream starts as the embedding.
Tensor expand_streams(const Tensor& x, std::int64_t streams) {
  const Tensor one = ops::reshape(x, {x.dim(0), 1, x.dim(1)});
  return streams <= 1 ? one : ops::concat(std::vector<Tensor>(static_cast<std::size_t>(streams), one), 1);
}

Tensor final_hidden(const Tensor& state, const HyperConnectionWeights& head, const Tensor& norm,
                    const ModelConfig& config) {
  if (config.hc_mult == 0)
    return ops::rms_norm(ops::reshape(state, {state.dim(0), config.hidden_size}), norm,
                         static_cast<float>(config.rms_norm_eps));
  const Tensor collapsed = ops::hc_pre(state, head.fn, head.base, head.scale, hc_options(config)).h;
  return ops::rms_norm(collapsed, norm, static_cast<float>(config.rms_norm_eps));
}

// sum += part, either of which may be undefined.
void accumulate(Tensor& sum, const Tensor& part) {
  if (part.defined()) sum = sum.defined() ? ops::add(sum, part) : part;
}

// Tokens per expert. Asked for when all layers are under way: a device is waited for once.
std::vector<std::int64_t> tokens_of(const Tensor& offsets) {
  std::vector<std::int64_t> tokens;
  if (!offsets.defined()) return tokens;
  const Tensor here = offsets.to(Device::cpu);
  const auto* first = here.data<std::int32_t>();
  for (std::int64_t e = 0; e + 1 < here.numel(); ++e) tokens.push_back(first[e + 1] - first[e]);
  return tokens;
}

void check_ids(const Tensor& ids, std::int64_t vocab) {
  ORRERY_CHECK(ids.dtype() == DType::i32 && ids.rank() == 2 && ids.dim(1) >= 1, "[transformer] ids are ",
               name_of(ids.dtype()), " ", to_string(ids.shape()), ", expected i32 [batch, length]");
  const auto* id = ids.data<std::int32_t>();
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ORRERY_CHECK(id[i] >= 0 && id[i] < vocab, "[transformer] token id ", id[i], " at position ", i % ids.dim(1),
                 " of sequence ", i / ids.dim(1), ", expected 0 to ", vocab - 1);
}

// A token's place in its latent frame: sequences start at a frame's border.
Tensor places_of(const Tensor& ids, std::int64_t group) {
  const Tensor places = Tensor::empty({ids.numel()}, DType::i32);
  auto* out = places.data<std::int32_t>();
  for (std::int64_t b = 0; b < ids.dim(0); ++b)
    for (std::int64_t t = 0; t < ids.dim(1); ++t) *out++ = static_cast<std::int32_t>(t % group);
  return places;
}

// What stood one latent frame before the next token; in the first frame, the sequence's first token.
Tensor recalled_ids(const Tensor& ids, std::int64_t group) {
  const Tensor recalled = Tensor::empty({ids.numel()}, DType::i32);
  const std::int64_t length = ids.dim(1);
  auto* out = recalled.data<std::int32_t>();
  for (std::int64_t b = 0; b < ids.dim(0); ++b) {
    const auto* row = ids.data<std::int32_t>() + b * length;
    for (std::int64_t t = 0; t < length; ++t) *out++ = row[std::max<std::int64_t>(0, t + 1 - group)];
  }
  return recalled;
}

// The next token's ids, for the multi-token-prediction block; the last position repeats itself and is not used.
Tensor shifted_ids(const Tensor& ids) {
  const Tensor next = Tensor::empty_like(ids);
  const std::int64_t length = ids.dim(1);
  for (std::int64_t b = 0; b < ids.dim(0); ++b) {
    const auto* row = ids.data<std::int32_t>() + b * length;
    auto* out = next.data<std::int32_t>() + b * length;
    for (std::int64_t t = 0; t < length; ++t) out[t] = row[std::min(t + 1, length - 1)];
  }
  return next;
}

}  // namespace

LayerContext::LayerContext(const ModelConfig& model_config, const ForwardOptions& forward_options,
                           const Tensor& token_ids, Device device)
    : config(model_config),
      options(forward_options),
      batch(token_ids.dim(0)),
      length(token_ids.dim(1)),
      ids(token_ids.reshaped({-1})) {
  const std::int64_t dim = config.qk_rope_head_dim;
  const RopeAxes axes(config);
  const auto table = [&](const RopeConfig& rope, std::int64_t step) {
    const RopeTable made =
        axes.on() ? axes.table(rope, {ids.data<std::int32_t>(), static_cast<std::size_t>(ids.numel())}, batch, step)
                  : rope_table(rope, dim, 0, length / step, step);
    return RopeTable{made.cos.to(device), made.sin.to(device)};
  };
  main_rope = table(config.main_rope, 1);
  compress_rope = table(config.compress_rope, 1);
  csa_rope = table(config.compress_rope, config.csa_rate);
  hca_rope = table(config.compress_rope, config.hca_rate);
}

LayerContext::LayerContext(const LayerContext& other, const Tensor& next) : LayerContext(other) {
  ids = next.reshaped({-1});
}

Tensor turn(const Tensor& x, const RopeTable& rope, bool inverse) {
  const std::int64_t rows = x.dim(0) * x.dim(1);
  if (rope.cos.dim(0) == x.dim(1)) return ops::rope(x, rope.cos, rope.sin, inverse);
  return ops::reshape(ops::rope(ops::reshape(x, {1, rows, x.dim(2), x.dim(3)}), rope.cos, rope.sin, inverse),
                      x.shape());
}

namespace {

// state [B·S, 1, hidden]: norm, attention, add, norm, experts, add.
LayerResult plain_layer(const Tensor& state, const LayerWeights& weights, const LayerContext& context) {
  const auto eps = static_cast<float>(context.config.rms_norm_eps);
  const Tensor x = ops::reshape(state, {state.dim(0), context.config.hidden_size});
  const AttentionResult attended =
      attention(ops::rms_norm(x, weights.input_norm, eps), weights.attention_kind, weights.attention, context);
  const Tensor middle = ops::add(x, attended.out);
  MoeResult mixed = mixture_of_experts(ops::rms_norm(middle, weights.post_attention_norm, eps), weights.mlp_kind,
                                       weights.moe, context);
  return {ops::reshape(ops::add(middle, mixed.out), state.shape()), attended.indexer_loss, mixed.balance_loss,
          mixed.use};
}

}  // namespace

LayerResult layer_forward(const Tensor& state, const LayerWeights& weights, const LayerContext& context) {
  const ModelConfig& config = context.config;
  if (config.hc_mult == 0) return plain_layer(state, weights, context);
  const auto eps = static_cast<float>(config.rms_norm_eps);
  LayerResult result;

  const auto& attention_hc = weights.attention_hc;
  const ops::HyperConnection before =
      ops::hc_pre(state, attention_hc.fn, attention_hc.base, attention_hc.scale, hc_options(config));
  const AttentionResult attended =
      attention(ops::rms_norm(before.h, weights.input_norm, eps), weights.attention_kind, weights.attention, context);
  const Tensor middle = ops::hc_post(state, attended.out, before.post, before.comb);
  result.indexer_loss = attended.indexer_loss;

  const auto& mlp_hc = weights.mlp_hc;
  const ops::HyperConnection inner = ops::hc_pre(middle, mlp_hc.fn, mlp_hc.base, mlp_hc.scale, hc_options(config));
  MoeResult mixed = mixture_of_experts(ops::rms_norm(inner.h, weights.post_attention_norm, eps), weights.mlp_kind,
                                       weights.moe, context);
  result.state = ops::hc_post(middle, mixed.out, inner.post, inner.comb);
  result.balance_loss = mixed.balance_loss;
  result.use = mixed.use;
  return result;
}

Transformer::Transformer(ModelConfig config, Random& random)
    : config_(std::move(config)), weights_(TransformerWeights::create(config_, random)) {}

Transformer::Transformer(ModelConfig config, TransformerWeights weights)
    : config_(std::move(config)), weights_(std::move(weights)) {}

ForwardResult Transformer::forward(const Tensor& ids, const ForwardOptions& options) const {
  check_ids(ids, config_.ids());
  ORRERY_CHECK(ids.dim(1) <= config_.max_position_embeddings, "[transformer] a context of ", ids.dim(1),
               " tokens, expected at most max_position_embeddings = ", config_.max_position_embeddings);
  const Device device = weights_.embed.device();
  const LayerContext context(config_, options, ids, device);
  ForwardResult result;
  const auto embed = [&](const Tensor& of) {
    return embed_ids({weights_.embed, weights_.embed_digits, weights_.embed_extra}, of, config_, options.compute);
  };
  Tensor embedded = embed(context.ids);
  if (weights_.places.defined())
    embedded =
        ops::add(embedded, ops::embedding(weights_.places, places_of(ids, config_.video.group()), options.compute));
  if (weights_.recall.defined())
    embedded = ops::add(embedded, embed_ids({weights_.recall, weights_.recall_digits, weights_.recall_extra},
                                            recalled_ids(ids, config_.video.group()), config_, options.compute));
  Tensor state = expand_streams(embedded, config_.hc_mult);
  int indexer_layers = 0;
  std::vector<ExpertUse> uses;
  for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
    const LayerWeights& layer = weights_.layers[i];
    LayerResult out;
    if (options.checkpoint) {
      const auto use = std::make_shared<ExpertUse>();
      auto run = [&layer, context, use](const std::vector<Tensor>& in) {
        const LayerResult inner = layer_forward(in[0], layer, context);
        if (!use->offsets.defined()) *use = inner.use;
        return std::vector<Tensor>{inner.state, inner.indexer_loss, inner.balance_loss};
      };
      const std::vector<Tensor> outputs = checkpoint(run, {state});
      out = {outputs[0], outputs[1], outputs[2], *use};
    } else {
      out = layer_forward(state, layer, context);
    }
    state = out.state;
    uses.push_back(out.use);
    if (out.indexer_loss.defined()) ++indexer_layers;
    accumulate(result.indexer_loss, out.indexer_loss);
    accumulate(result.balance_loss, out.balance_loss);
  }
  if (indexer_layers > 1)
    result.indexer_loss = ops::scale(result.indexer_loss, 1.0f / static_cast<float>(indexer_layers));
  result.hidden = final_hidden(state, weights_.hc_head, weights_.norm, config_);

  if (options.mtp && weights_.mtp) {
    const MtpWeights& mtp = *weights_.mtp;
    const auto eps = static_cast<float>(config_.rms_norm_eps);
    const Tensor next = shifted_ids(ids);
    const LayerContext mtp_context(context, next);
    const Tensor next_embedded = ops::rms_norm(embed(mtp_context.ids), mtp.e_norm, eps);
    const Tensor e = expand_streams(ops::linear(next_embedded, mtp.e_proj), config_.hc_mult);
    const Tensor h = ops::linear(ops::rms_norm(state, mtp.h_norm, eps), mtp.h_proj);
    LayerResult out = layer_forward(ops::add(e, h), mtp.layer, mtp_context);
    uses.push_back(out.use);
    accumulate(result.balance_loss, out.balance_loss);
    result.mtp_hidden = final_hidden(out.state, mtp.hc_head, mtp.norm, config_);
  }
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const bool is_mtp = i == weights_.layers.size();
    const Tensor& squares = uses[i].squares;
    result.loads.push_back({static_cast<std::int64_t>(i), is_mtp ? MlpKind::moe : weights_.layers[i].mlp_kind,
                            tokens_of(uses[i].offsets), squares.defined() ? double{squares.item()} : 0});
  }
  return result;
}

Tensor Transformer::head() const { return with_digits(weights_.lm_head, weights_.head_digits, config_); }

ops::HeadLoss Transformer::loss(const Tensor& hidden, const Tensor& targets, const Tensor& weights) const {
  const ops::HeadLoss first = ops::linear_cross_entropy(hidden, head(), table_rows(targets, config_), weights);
  if (config_.video.extra_levels.empty()) return first;
  const ops::HeadLoss extra = extra_loss(hidden, targets, weights, weights_.extra_head, config_);
  return {ops::add(first.total, extra.total), ops::add(first.losses, extra.losses)};
}

Tensor Transformer::logits(const Tensor& hidden) const { return ops::cast(ops::linear(hidden, head()), DType::f32); }

void Transformer::update_router_bias(const std::vector<ExpertLoad>& loads, float rate) {
  for (const ExpertLoad& load : loads) {
    if (!is_scored(load.kind)) continue;
    MoeWeights& moe = load.layer < config_.num_hidden_layers()
                          ? weights_.layers[static_cast<std::size_t>(load.layer)].moe
                          : weights_.mtp->layer.moe;
    const auto experts = static_cast<double>(load.tokens.size());
    double mean = 0;
    for (const std::int64_t tokens : load.tokens) mean += static_cast<double>(tokens) / experts;
    if (mean == 0) continue;
    const double scores = mean * experts / config_.num_experts_per_tok * experts;
    const double step = rate * std::sqrt(load.squares / scores);
    const Tensor moved = moe.bias.to(Device::cpu);  // itself, where it is there
    float* bias = moved.data<float>();
    for (std::size_t e = 0; e < load.tokens.size(); ++e) {
      const double excess = static_cast<double>(load.tokens[e]) / mean - 1;
      bias[e] -= static_cast<float>(step * std::min(excess, 1.0));
    }
    if (moe.bias.device() != Device::cpu) moe.bias.copy_from(moved);
  }
}

std::vector<Tensor> Transformer::router_biases() const {
  std::vector<Tensor> biases;
  for (const auto& layer : weights_.layers)
    if (layer.moe.bias.defined()) biases.push_back(layer.moe.bias);
  return biases;
}

std::int64_t Transformer::active_parameters() const {
  std::int64_t count = 0;
  for (const Parameter& item : parameters().all()) {
    if (item.kind == ParameterKind::buffer || item.kind == ParameterKind::embedding || item.name.starts_with("mtp."))
      continue;
    const bool routed = item.name.find(".experts.") != std::string::npos;
    count += routed ? item.value.numel() * config_.num_experts_per_tok / config_.n_routed_experts : item.value.numel();
  }
  return count;
}

}  // namespace orrery
