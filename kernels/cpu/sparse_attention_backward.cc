// The fast backward pass of kernels/api/attention.h. The queries are cut into chunks by the shape alone; a chunk walks
// its blocks in order and gathers the gradients of its keys in f32, and the chunks' shares are added in order. So the
// result does not depend on the threads, and nothing of size queries × keys is kept.
//   p = exp(s − lse);  δ = out · grad_out;  grad_s = p (grad_out · key − δ);
//   grad_q = scale Σ grad_s key;  grad_key = Σ (grad_s · scale q + p grad_out);  grad_sink = −Σ exp(sink − lse) δ.
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sparse_attention_backward.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_backward_plan.h"
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// A block of queries; rows as in the forward pass. q carries the scale. scores become grad_s, weights p.
struct GradBlock {
  std::int64_t b, first, count;
  float *q, *grad_out, *grad_q, *scores, *weights, *lse, *delta, *turned;
  std::int32_t* kept;
  KeyRange* seen;
};

// `grads`: the chunk's share for the keys of this source, row 0 being key `base`.
void grad_dense(const AttentionPlan& plan, const GradBlock& block, bool of_entries, float* grads, std::int64_t base) {
  const KeySource& source = of_entries ? plan.entries : plan.kv;
  const std::int64_t from = plan.range(of_entries, block.first).begin, begin = from / kStrip * kStrip;
  const std::int64_t end = plan.range(of_entries, block.first + block.count - 1).end, padded = plan.padded;
  const float* panels = source.batch_panels(block.b, padded);
  for (std::int64_t c = begin; c < end; c += kChunk) {
    const SeenColumns seen =
        seen_columns(plan, of_entries, block.first, block.count, {c, std::min(end, c + kChunk)}, block.seen);
    scores_of(block.q, seen, panels, padded, c, block.scores);
    scores_of(block.grad_out, seen, panels, padded, c, block.weights);
    for (std::int64_t r = 0; r < seen.rows; ++r)
      slope_columns(block.scores + r * kScoreStride, block.weights + r * kScoreStride, seen, r, block.lse[r],
                    block.delta[r]);
    add_weighted(block.scores, seen, source.batch_rows(block.b, padded) + c * padded, padded, block.grad_q);
    const std::int64_t start = std::max(from - c, std::int64_t{0});  // keys before the first one in sight have no row
    float* out = grads + (c + start - base) * padded;
    add_turned(block.scores, seen, start, block.q, padded, out);
    add_turned(block.weights, seen, start, block.grad_out, padded, out);
  }
}

// One query's list of entries. A row of scores is [grad_s | p], lanes are heads.
void grad_picked(const AttentionPlan& plan, const GradBlock& block, std::int64_t t, float* grads) {
  const std::int64_t count = valid_picks(plan, block.b, t, block.kept), slot = t - block.first;
  if (count == 0) return;
  const std::int64_t wide = plan.padded_heads, width = 2 * wide, padded = plan.padded, heads = plan.heads;
  const float* keys = plan.entries.batch_rows(block.b, padded);
  const float *q = block.q + slot * heads * padded, *grad_out = block.grad_out + slot * heads * padded;
  float* scores = block.scores;
  heads_last(plan, q, block.turned, width);
  heads_last(plan, grad_out, block.turned + wide, width);
  const std::int64_t used = round_up(heads, kLanes);
  gemm<false>(count, used, padded, picked(keys, padded, block.kept), 1, rows<const float>(block.turned, width),
              rows(scores, width));
  gemm<false>(count, used, padded, picked(keys, padded, block.kept), 1, rows<const float>(block.turned + wide, width),
              rows(scores + wide, width));
  for (std::int64_t h = 0; h < heads; h += kLanes) {
    float lse_of[HWY_MAX_BYTES / sizeof(float)] = {}, delta_of[HWY_MAX_BYTES / sizeof(float)] = {};
    for (std::int64_t lane = 0; lane < std::min(kLanes, heads - h); ++lane) {
      lse_of[lane] = block.lse[slot * heads + h + lane];
      delta_of[lane] = block.delta[slot * heads + h + lane];
    }
    const Vec lse = load(lse_of), delta = load(delta_of);
    for (std::int64_t k = 0; k < count; ++k) {
      float* row = scores + k * width + h;
      const Vec p = exp(hn::Sub(load(row), lse));
      store(hn::Mul(p, hn::Sub(load(row + wide), delta)), row);
      store(p, row + wide);
    }
  }
  gemm<true>(heads, padded, count, rows<const float>(scores, 1), width, picked(keys, padded, block.kept),
             rows(block.grad_q + slot * heads * padded, padded));
  gemm<true>(count, padded, heads, rows<const float>(scores, width), 1, rows(q, padded),
             picked(grads, padded, block.kept));
  gemm<true>(count, padded, heads, rows<const float>(scores + wide, width), 1, rows(grad_out, padded),
             picked(grads, padded, block.kept));
}

template <class T>
void load_block(const SparseAttentionBackwardArgs& args, const AttentionPlan& plan, const GradBlock& block,
                double* grad_sinks) {
  const std::int64_t count = block.count * plan.heads, first_row = (block.b * plan.queries + block.first) * plan.heads;
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t at = (first_row + r) * plan.dim, to = r * plan.padded;
    widen_row(args.q.as<const T>() + at, block.q + to, plan.dim, plan.padded, plan.shape.scale);
    widen_row(args.grad_out.as<const T>() + at, block.grad_out + to, plan.dim, plan.padded, 1.0f);
    widen_row(args.out.as<const T>() + at, block.grad_q + to, plan.dim, plan.padded, 1.0f);
    Vec sum = zero();
    for (std::int64_t i = 0; i < plan.padded; i += kLanes)
      sum = hn::MulAdd(load(block.grad_out + to + i), load(block.grad_q + to + i), sum);
    block.delta[r] = sum_of(sum);
    block.lse[r] = args.lse.as<const float>()[first_row + r];
    if (args.sinks && block.lse[r] > -std::numeric_limits<float>::infinity())
      grad_sinks[r % plan.heads] -=
          std::exp(double{args.sinks.as<const float>()[r % plan.heads]} - double{block.lse[r]}) *
          double{block.delta[r]};
  }
  clear(block.grad_q, count * plan.padded);
}

template <class T>
void backward_chunk_of(const SparseAttentionBackwardArgs& args, const AttentionPlan& plan, const GradChunk& chunk,
                       Arena& arena) {
  const std::int64_t most = plan.rows_per_block(), floats = most * plan.padded;
  const std::int64_t scores = std::max(most * kScoreStride, 2 * plan.picks * plan.padded_heads);
  const std::int64_t turned = 2 * plan.padded * plan.padded_heads;
  arena.reset(3 * floats + 2 * scores + 2 * most + turned + plan.picks + 4 * most);
  GradBlock block{chunk.b,
                  0,
                  0,
                  arena.take(floats),
                  arena.take(floats),
                  arena.take(floats),
                  arena.take(scores),
                  arena.take(scores),
                  arena.take(most),
                  arena.take(most),
                  arena.take(turned),
                  arena.take<std::int32_t>(plan.picks),
                  arena.take<KeyRange>(most)};
  clear(block.turned, turned);
  clear(chunk.grad_kv, (chunk.kv.end - chunk.kv.begin) * plan.padded);
  clear(chunk.grad_entries, chunk.entries.end * plan.padded);
  for (std::int64_t h = 0; h < plan.heads; ++h) chunk.grad_sinks[h] = 0;
  for (block.first = chunk.begin; block.first < chunk.end; block.first += plan.block) {
    block.count = std::min(plan.block, chunk.end - block.first);
    load_block<T>(args, plan, block, chunk.grad_sinks);
    grad_dense(plan, block, false, chunk.grad_kv, chunk.kv.begin);
    if (plan.dense_entries()) grad_dense(plan, block, true, chunk.grad_entries, 0);
    if (plan.indices)
      for (std::int64_t t = block.first; t < block.first + block.count; ++t)
        grad_picked(plan, block, t, chunk.grad_entries);
    const std::int64_t first_row = (block.b * plan.queries + block.first) * plan.heads;
    for (std::int64_t r = 0; r < block.count * plan.heads; ++r)
      narrow_row(block.grad_q + r * plan.padded, args.grad_q.as<T>() + (first_row + r) * plan.dim, plan.dim,
                 plan.shape.scale);
  }
}

void backward_chunk(const SparseAttentionBackwardArgs& args, const AttentionPlan& plan, const GradChunk& chunk,
                    Arena& arena) {
  args.q.dtype == DType::bf16 ? backward_chunk_of<BFloat16>(args, plan, chunk, arena)
                              : backward_chunk_of<float>(args, plan, chunk, arena);
}

// One row of grad_kv or grad_entries: the chunks' shares in order.
void add_shares(const AttentionPlan& plan, const GradChunk* chunks, std::int64_t count, bool of_entries,
                std::int64_t key, const TensorView& out, std::int64_t row) {
  float sum[kPanel];
  for (std::int64_t i = 0; i < plan.dim; i += kPanel) {
    const std::int64_t n = std::min(kPanel, plan.padded - i);
    clear(sum, n);
    for (std::int64_t c = 0; c < count; ++c) {
      const KeyRange range = of_entries ? chunks[c].entries : chunks[c].kv;
      if (key < range.begin || key >= range.end) continue;
      const float* share =
          (of_entries ? chunks[c].grad_entries : chunks[c].grad_kv) + (key - range.begin) * plan.padded + i;
      for (std::int64_t j = 0; j < n; j += kLanes) store(hn::Add(load(sum + j), load(share + j)), sum + j);
    }
    const std::int64_t width = std::min(kPanel, plan.dim - i);
    if (out.dtype == DType::bf16)
      narrow_row(sum, out.as<BFloat16>() + row * plan.dim + i, width, 1.0f);
    else
      narrow_row(sum, out.as<float>() + row * plan.dim + i, width, 1.0f);
  }
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(backward_chunk);
HWY_EXPORT(add_shares);

void add_all_shares(const AttentionPlan& plan, const std::vector<GradChunk>& chunks, bool of_entries,
                    const TensorView& out) {
  const std::int64_t keys = of_entries ? plan.entries.count : plan.kv.count;
  const std::int64_t a_batch = static_cast<std::int64_t>(chunks.size()) / std::max<std::int64_t>(1, plan.batch);
  parallel_blocks(plan.batch * keys, 128, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) HWY_DYNAMIC_DISPATCH(add_shares)
    (plan, chunks.data() + row / keys * a_batch, a_batch, of_entries, row % keys, out, row);
  });
}

void sparse_attention_backward(const SparseAttentionBackwardArgs& args) {
  AttentionPlan plan(args);
  static thread_local Arena memory;
  GradShares shares(plan);
  memory.reset(key_floats(plan) + shares.floats());
  prepare_keys(plan, args.kv, args.entries, memory);
  shares.place(memory);
  parallel_tasks(static_cast<std::int64_t>(shares.chunks.size()), [&](std::int64_t c) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(backward_chunk)(args, plan, shares.chunks[static_cast<std::size_t>(c)], arena);
  });
  shares.gather(args);
}

}  // namespace

void GradShares::gather(const SparseAttentionBackwardArgs& args) const {
  add_all_shares(plan_, chunks, false, args.grad_kv);
  if (args.grad_entries) add_all_shares(plan_, chunks, true, args.grad_entries);
  if (!args.grad_sinks) return;
  for (std::int64_t h = 0; h < plan_.heads; ++h) {
    double sum = 0;
    for (const GradChunk& chunk : chunks) sum += chunk.grad_sinks[h];
    args.grad_sinks.as<float>()[h] = static_cast<float>(sum);
  }
}

void add_attention_backward_kernels() {
  add_kernel<SparseAttentionBackwardArgs>(Device::cpu, "simd", sparse_attention_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
