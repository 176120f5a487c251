// Attention of DeepSeek-V4 (arXiv 2606.19348, §2.3): window ∪ compressed entries under one softmax with a sink; RoPE on
// the last dims of queries, keys and entries, taken back from the output.
#include "core/ops/attention.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/model/layers.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"
#include "core/ops/straight_through.h"

namespace orrery {

namespace {

float norm_eps(const LayerContext& context) { return static_cast<float>(context.config.rms_norm_eps); }

// rope over [B, S, D]: one head.
Tensor rope_rows(const Tensor& x, const RopeTable& rope) {
  const Tensor heads = ops::reshape(x, {x.dim(0), x.dim(1), 1, x.dim(2)});
  return ops::reshape(turn(heads, rope), x.shape());
}

// h [B, S, hidden] → entries [B, ⌊S/rate⌋, dim], normed and rotated to the position of their window's first token.
Tensor compress(const Tensor& h, const CompressorWeights& weights, std::int64_t rate, bool overlap,
                const RopeTable& rope, const LayerContext& context) {
  const Tensor kv = ops::linear(h, weights.kv_proj);
  const Tensor gate = ops::linear(h, weights.gate_proj);
  const Tensor pooled = ops::compress_pool(kv, gate, weights.position_bias, {rate, overlap});
  return rope_rows(ops::rms_norm(pooled, weights.kv_norm, norm_eps(context)), rope);
}

struct IndexerParts {
  Tensor q, k, w;  ///< [B, S, Hi, Di], [B, E, Di], [B, S, Hi] f32
};

IndexerParts indexer_parts(const Tensor& h, const Tensor& q_latent, const IndexerWeights& weights,
                           const LayerContext& context) {
  const ModelConfig& c = context.config;
  IndexerParts parts;
  parts.k = compress(h, weights.compressor, c.csa_rate, /*overlap=*/true, context.csa_rope, context);
  const Tensor q = ops::reshape(ops::linear(q_latent, weights.q_b_proj),
                                {context.batch, context.length, c.index_n_heads, c.index_head_dim});
  parts.q = turn(q, context.compress_rope);
  const double scale = 1 / std::sqrt(static_cast<double>(c.index_head_dim) * static_cast<double>(c.index_n_heads));
  parts.w = ops::scale(ops::cast(ops::linear(h, weights.weights_proj), DType::f32), static_cast<float>(scale));
  return parts;
}

// KL between the heads' summed attention over entries (a constant) and the indexer's softmax over the same entries.
Tensor indexer_kl(const IndexerParts& parts, const Tensor& q, const Tensor& entries, const Tensor& indices,
                  const Tensor& lse, const ops::SparseAttentionOptions& options) {
  Tensor mass;
  {
    const NoGrad guard;
    mass = ops::entry_mass(q.detach(), entries.detach(), indices, lse, options);
  }
  const Tensor scores = ops::index_scores(parts.q, parts.k, parts.w, indices, {options.rate, 0});
  return ops::mean(ops::index_kl(scores, mass));
}

// What attention gave, its gradient reaching the indexer through the choice of entries.
Tensor through_choice(const ops::AttentionResult& mixed, const IndexerParts& parts, const Tensor& q,
                      const Tensor& entries, const Tensor& indices, const ops::SparseAttentionOptions& options) {
  const Tensor scores = ops::index_scores(parts.q, parts.k, parts.w, Tensor(), {options.rate, 0});
  const Tensor rows = ops::reshape(entries.detach(), {entries.dim(0), entries.dim(1), 1, entries.dim(2)});
  return ops::straight_through(mixed.out, scores, {q, rows, rows, mixed.lse, indices, options.scale});
}

AttentionResult compressed_attention(const Tensor& flat, AttentionKind kind, const AttentionWeights& weights,
                                     const LayerContext& context) {
  const ModelConfig& c = context.config;
  const std::int64_t batch = context.batch, length = context.length, heads = c.num_attention_heads, dim = c.head_dim;
  const RopeTable& rope = kind == AttentionKind::sliding ? context.main_rope : context.compress_rope;
  const Tensor h = ops::reshape(flat, {batch, length, c.hidden_size});

  const Tensor q_latent = ops::rms_norm(ops::linear(h, weights.q_a_proj), weights.q_a_norm, norm_eps(context));
  const Tensor q_heads = ops::reshape(ops::linear(q_latent, weights.q_b_proj), {batch, length, heads, dim});
  const Tensor q = turn(ops::rms_norm(q_heads, Tensor(), norm_eps(context)), rope);
  const Tensor kv = rope_rows(ops::rms_norm(ops::linear(h, weights.kv_proj), weights.kv_norm, norm_eps(context)), rope);

  ops::SparseAttentionOptions options;
  options.window = c.sliding_window;
  options.rate = std::max<std::int64_t>(1, c.compress_rate(kind));
  options.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));

  Tensor entries, indices;
  IndexerParts indexer;
  const bool has_entries = weights.compressor && length >= options.rate;
  if (has_entries) {
    const bool overlap = kind == AttentionKind::csa;
    const RopeTable& entry_rope = overlap ? context.csa_rope : context.hca_rope;
    entries = compress(h, *weights.compressor, options.rate, overlap, entry_rope, context);
    if (overlap) {
      const bool learns = context.options.indexer != IndexerTraining::off;
      // The indexer's input is detached: its loss moves only the indexer.
      indexer = indexer_parts(h.detach(), q_latent.detach(), *weights.indexer, context);
      if (context.options.indexer != IndexerTraining::dense_warmup) {
        const NoGrad guard;
        indices = ops::index_top_k(indexer.q.detach(), indexer.k.detach(), indexer.w.detach(),
                                   std::min(c.index_topk, entries.dim(1)), {options.rate, 0});
      }
      if (!learns) indexer = {};
    }
  }

  ops::AttentionResult mixed = ops::sparse_attention(q, kv, entries, indices, weights.sinks, options);
  const bool through = indexer.q.defined() && context.options.indexer == IndexerTraining::straight_through;
  if (through) mixed.out = through_choice(mixed, indexer, q, entries, indices, options);
  const Tensor unrotated = turn(mixed.out, rope, /*inverse=*/true);
  const Tensor grouped = ops::reshape(unrotated, {batch * length, c.o_groups, heads * dim / c.o_groups});
  const Tensor o_a = ops::reshape(weights.o_a_proj, {c.o_groups, c.o_lora_rank, heads * dim / c.o_groups});
  const Tensor low_rank = ops::reshape(ops::batched_linear(grouped, o_a), {batch * length, c.o_groups * c.o_lora_rank});

  AttentionResult result;
  result.out = ops::linear(low_rank, weights.o_b_proj);
  if (indexer.q.defined() && !through)
    result.indexer_loss = indexer_kl(indexer, q, entries, indices, mixed.lse, options);
  return result;
}

// The attention families: adding one is a row here, one in config.cc, a file of its own, and a test row.
struct Family {
  AttentionKind kind;
  AttentionResult (*run)(const Tensor& h, AttentionKind kind, const AttentionWeights& weights,
                         const LayerContext& context);
};
constexpr Family kFamilies[] = {
    {AttentionKind::sliding, compressed_attention}, {AttentionKind::csa, compressed_attention},
    {AttentionKind::hca, compressed_attention},     {AttentionKind::mla, latent_attention},
    {AttentionKind::dsa, latent_attention},
};

}  // namespace

AttentionResult attention(const Tensor& h, AttentionKind kind, const AttentionWeights& weights,
                          const LayerContext& context) {
  for (const Family& family : kFamilies)
    if (family.kind == kind) return family.run(h, kind, weights, context);
  throw Error(std::string("[attention] no family ") + name_of(kind));
}

}  // namespace orrery
