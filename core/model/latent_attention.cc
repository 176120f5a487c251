// Multi-head latent attention (DeepSeek-V3, arXiv 2412.19437, §2.1.1) and DeepSeek Sparse Attention (V3.2): keys and
// values from one latent a token, rotary dims apart. V3.2's indexer scores tokens, not entries; its rotary dims come
// first and are rotated half against half, as transformers does (the reference repository interleaves them).
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/autograd/autograd.h"
#include "core/model/layers.h"
#include "core/ops/attention.h"
#include "core/ops/dense_attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/layer_norm.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"
#include "core/ops/softmax.h"
#include "core/ops/straight_through.h"

namespace orrery {

namespace {

// The first `rope` dims of x [B, S, H, D], of which dim i turns with dim i + rope / 2, to the end, as interleaved
// pairs: products of two vectors that both went through here stay.
Tensor half_split_to_pairs(const Tensor& x, std::int64_t rope) {
  const std::int64_t batch = x.dim(0), length = x.dim(1), heads = x.dim(2), dim = x.dim(3);
  const Tensor turned = ops::reshape(ops::narrow(x, 3, 0, rope), {batch, length, heads, 2, rope / 2});
  const Tensor pairs = ops::reshape(ops::contiguous(ops::transpose(turned, 3, 4)), {batch, length, heads, rope});
  if (dim == rope) return pairs;
  return ops::concat({ops::narrow(x, 3, rope, dim - rope), pairs}, 3);
}

struct IndexerParts {
  Tensor q, k, w;  ///< [B, S, Hi, Di], [B, S, Di], [B, S, Hi] f32
};

IndexerParts indexer_parts(const Tensor& h, const Tensor& q_latent, const LatentWeights& weights,
                           const LayerContext& context) {
  const ModelConfig& c = context.config;
  const std::int64_t heads = c.index_n_heads, dim = c.index_head_dim;
  const RopeTable& rope = context.main_rope;
  constexpr float kEps = 1e-6f;
  const Tensor q = ops::reshape(ops::linear(q_latent, weights.index_q), {context.batch, context.length, heads, dim});
  const Tensor key =
      ops::layer_norm(ops::linear(h, weights.index_k), weights.index_norm, weights.index_norm_bias, kEps);
  const Tensor k = ops::reshape(key, {context.batch, context.length, 1, dim});
  const Tensor k_turned = ops::rope(half_split_to_pairs(k, c.qk_rope_head_dim), rope.cos, rope.sin);
  const double scale = 1 / std::sqrt(static_cast<double>(dim) * static_cast<double>(heads));
  return {ops::rope(half_split_to_pairs(q, c.qk_rope_head_dim), rope.cos, rope.sin),
          ops::reshape(k_turned, {context.batch, context.length, dim}),
          ops::scale(ops::cast(ops::linear(h, weights.index_weights), DType::f32), static_cast<float>(scale))};
}

// [S, S] f32 for sequence b of indices [B, S, K]: 0 where a token is chosen, −∞ elsewhere; without indices, 0 where it
// is not later.
Tensor mask_of(const Tensor& indices, std::int64_t b, std::int64_t length, Device device) {
  const Tensor mask = Tensor::full({length, length}, -std::numeric_limits<float>::infinity());
  const std::int64_t count = indices.defined() ? indices.dim(2) : 0;
  float* out = mask.data<float>();
  for (std::int64_t t = 0; t < length; ++t) {
    if (!indices.defined()) std::fill(out + t * length, out + t * length + t + 1, 0.0f);
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int32_t token = indices.data<std::int32_t>()[(b * length + t) * count + j];
      if (token >= 0) out[t * length + token] = 0;
    }
  }
  return mask.to(device);
}

// The heads' logits [S, H, S] f32 of one sequence, q and k [1, S, H, D] with mask [S, S].
Tensor masked_logits(const Tensor& q, const Tensor& k, const Tensor& mask, float scale) {
  const std::int64_t length = q.dim(1), heads = q.dim(2), dim = q.dim(3);
  const Tensor queries = ops::reshape(ops::cast(q.detach(), DType::f32), {length, heads, dim});
  const Tensor keys = ops::reshape(ops::cast(k.detach(), DType::f32), {length, heads, dim});
  const Tensor scores = ops::batched_linear(queries, ops::contiguous(ops::permute(keys, {1, 0, 2})));
  return ops::add(ops::scale(scores, scale), ops::reshape(mask, {length, 1, length}));
}

// The heads' summed attention [S, S]: the indexer's target.
Tensor attention_mass(const Tensor& q, const Tensor& k, const Tensor& mask, float scale) {
  const NoGrad guard;
  return ops::sum(ops::softmax(masked_logits(q, k, mask, scale)), {1});
}

// log Σ exp of the heads' logits, [1, S, H].
Tensor log_sums(const Tensor& q, const Tensor& k, const Tensor& mask, float scale) {
  const NoGrad guard;
  const Tensor logits = masked_logits(q, k, mask, scale), top = ops::max(logits, {2}, /*keep=*/true);
  const Tensor sums = ops::add(top, ops::log(ops::sum(ops::exp(ops::sub(logits, top)), {2}, /*keep=*/true)));
  return ops::reshape(sums, {1, q.dim(1), q.dim(2)});
}

struct Heads {
  Tensor q, k, v;  ///< [B, S, H, nope + rope] twice, [B, S, H, v]
};

// V3.2: attention over the chosen tokens [B, S, H, v], and the indexer's loss where it learns.
AttentionResult indexed_attention(const Heads& heads, const IndexerParts& indexer, const LayerContext& context,
                                  const ops::DenseAttentionOptions& options) {
  const ModelConfig& c = context.config;
  const std::int64_t batch = context.batch, length = context.length;
  const bool learns = context.options.indexer != IndexerTraining::off;
  Tensor indices, scores;
  if (context.options.indexer != IndexerTraining::dense_warmup) {
    const NoGrad guard;
    const std::int64_t count = std::min(c.index_topk, length);
    indices =
        ops::index_top_k(indexer.q.detach(), indexer.k.detach(), indexer.w.detach(), count, {1, 0}).to(Device::cpu);
  }
  if (learns) scores = ops::index_scores(indexer.q, indexer.k, indexer.w, Tensor(), {1, 0});
  std::vector<Tensor> mixed;
  Tensor loss;
  for (std::int64_t b = 0; b < batch; ++b) {
    const Tensor mask = mask_of(indices, b, length, heads.q.device());
    const Tensor q = ops::narrow(heads.q, 0, b, 1), k = ops::narrow(heads.k, 0, b, 1);
    const Tensor v = ops::narrow(heads.v, 0, b, 1);
    mixed.push_back(ops::dense_attention(q, k, v, options, mask));
    if (!learns) continue;
    const Tensor mine = ops::narrow(scores, 0, b, 1);
    if (context.options.indexer == IndexerTraining::straight_through) {
      const Tensor chosen = ops::narrow(indices, 0, b, 1).to(heads.q.device());
      mixed.back() = ops::straight_through(mixed.back(), mine,
                                           {q, k, v, log_sums(q, k, mask, options.scale), chosen, options.scale});
      continue;
    }
    const Tensor seen = ops::add(ops::reshape(mine, {length, length}), mask);
    const Tensor part = ops::mean(ops::index_kl(seen, attention_mass(q, k, mask, options.scale)));
    loss = loss.defined() ? ops::add(loss, part) : part;
  }
  if (batch == 1) return {mixed[0], loss};
  return {ops::concat(mixed, 0), loss.defined() ? ops::scale(loss, 1.0f / static_cast<float>(batch)) : loss};
}

}  // namespace

float latent_scale(const ModelConfig& c) {
  const double mscale = c.main_rope.factor > 1 ? 0.1 * c.main_rope.mscale * std::log(c.main_rope.factor) + 1 : 1;
  return static_cast<float>(mscale * mscale / std::sqrt(static_cast<double>(c.qk_nope_head_dim + c.qk_rope_head_dim)));
}

AttentionResult latent_attention(const Tensor& flat, AttentionKind kind, const AttentionWeights& weights,
                                 const LayerContext& context) {
  const ModelConfig& c = context.config;
  const LatentWeights& latent = *weights.latent;
  const std::int64_t batch = context.batch, length = context.length, heads = c.num_attention_heads;
  const std::int64_t nope = c.qk_nope_head_dim, rope_dim = c.qk_rope_head_dim, v_dim = c.v_head_dim;
  const auto eps = static_cast<float>(c.rms_norm_eps);
  const RopeTable& rope = context.main_rope;
  const Tensor h = ops::reshape(flat, {batch, length, c.hidden_size});

  const Tensor q_latent = ops::rms_norm(ops::linear(h, weights.q_a_proj), weights.q_a_norm, eps);
  const Tensor q =
      ops::rope(ops::reshape(ops::linear(q_latent, weights.q_b_proj), {batch, length, heads, nope + rope_dim}),
                rope.cos, rope.sin);

  const std::vector<Tensor> kv = ops::split(ops::linear(h, latent.kv_a_proj), 2, {c.kv_lora_rank, rope_dim});
  const Tensor kv_latent = ops::rms_norm(kv[0], latent.kv_a_norm, eps);
  const Tensor k_rope = ops::rope(ops::reshape(kv[1], {batch, length, 1, rope_dim}), rope.cos, rope.sin);
  const std::vector<Tensor> parts = ops::split(
      ops::reshape(ops::linear(kv_latent, latent.kv_b_proj), {batch, length, heads, nope + v_dim}), 3, {nope, v_dim});
  const Tensor k = ops::concat({parts[0], ops::expand(k_rope, {batch, length, heads, rope_dim})}, 3);

  ops::DenseAttentionOptions options;
  options.causal = true;
  options.scale = latent_scale(c);
  const bool all_seen = c.index_topk >= length && context.options.indexer == IndexerTraining::off;
  AttentionResult result;
  if (kind == AttentionKind::mla || all_seen) {
    result.out = ops::dense_attention(q, k, parts[1], options);
  } else {
    // The indexer's input is detached: its loss moves only the indexer.
    const IndexerParts indexer = indexer_parts(h.detach(), q_latent.detach(), latent, context);
    result = indexed_attention({q, k, parts[1]}, indexer, context, options);
  }
  result.out = ops::linear(ops::reshape(result.out, {batch * length, heads * v_dim}), latent.o_proj);
  return result;
}

}  // namespace orrery
