// The fast forward pass of kernels/api/attention.h: blocks of queries (all heads of a query together, since they share
// one KV head) against chunks of keys with a running softmax (Milakov & Gimelshein 2018; Dao et al. 2022), in f32 on
// Highway. A block's result depends on the block alone, so neither on the threads nor on the other sequences.
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sparse_attention.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/attention_keys-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// A block of queries on its way: rows r = (query − first) · heads + head; top and total are [block][padded_heads].
struct Block {
  std::int64_t b, first, count;  // queries [first, first + count) of batch b
  float *q, *out, *scores, *top, *total, *turned;
  std::int32_t* kept;
  KeyRange* seen;
};

RunningRow running_row(const AttentionPlan& plan, const Block& block, std::int64_t r) {
  const std::int64_t slot = r / plan.heads * plan.padded_heads + r % plan.heads;
  return {block.top + slot, block.total + slot, block.out + r * plan.padded, plan.padded};
}

void attend_dense(const AttentionPlan& plan, const Block& block, bool of_entries) {
  const KeySource& source = of_entries ? plan.entries : plan.kv;
  const std::int64_t begin = plan.range(of_entries, block.first).begin / kStrip * kStrip;
  const std::int64_t end = plan.range(of_entries, block.first + block.count - 1).end;
  for (std::int64_t c = begin; c < end; c += kChunk) {
    const SeenColumns seen =
        seen_columns(plan, of_entries, block.first, block.count, {c, std::min(end, c + kChunk)}, block.seen);
    scores_of(block.q, seen, source.batch_panels(block.b, plan.padded), plan.padded, c, block.scores);
    soften_rows(block.scores, seen, [&](std::int64_t r) HWY_ATTR { return running_row(plan, block, r); });
    add_weighted(block.scores, seen, source.batch_rows(block.b, plan.padded) + c * plan.padded, plan.padded, block.out);
  }
}

// One query's own list of entries: scores are [entry][padded_heads], so that lanes are heads.
void attend_picked(const AttentionPlan& plan, const Block& block, std::int64_t t) {
  const std::int64_t count = valid_picks(plan, block.b, t, block.kept), slot = t - block.first;
  if (count == 0) return;
  const float* keys = plan.entries.batch_rows(block.b, plan.padded);
  const std::int64_t width = plan.padded_heads;
  float *top = block.top + slot * width, *total = block.total + slot * width,
        *out = block.out + slot * plan.heads * plan.padded;
  heads_last(plan, block.q + slot * plan.heads * plan.padded, block.turned, width);
  gemm<false>(count, round_up(plan.heads, kLanes), plan.padded, picked(keys, plan.padded, block.kept), 1,
              rows<const float>(block.turned, width), rows(block.scores, width));
  for (std::int64_t h = 0; h < plan.heads; h += kLanes) {
    const Vec before = load(top + h);
    Vec high = before, sum = zero();
    for (std::int64_t k = 0; k < count; ++k) high = hn::Max(high, load(block.scores + k * width + h));
    for (std::int64_t k = 0; k < count; ++k) {
      const Vec p = exp(hn::Sub(load(block.scores + k * width + h), high));
      sum = hn::Add(sum, p);
      store(p, block.scores + k * width + h);
    }
    const Vec fade = exp(hn::Sub(before, high));
    store(high, top + h);
    store(hn::MulAdd(load(total + h), fade, sum), total + h);
    float fades[HWY_MAX_BYTES / sizeof(float)];
    store(fade, fades);
    for (std::int64_t lane = 0; lane < std::min(kLanes, plan.heads - h); ++lane) {
      float* row = out + (h + lane) * plan.padded;
      const Vec factor = set(fades[lane]);
      for (std::int64_t i = 0; i < plan.padded; i += kLanes) store(hn::Mul(load(row + i), factor), row + i);
    }
  }
  gemm<true>(plan.heads, plan.padded, count, rows<const float>(block.scores, 1), width,
             picked(keys, plan.padded, block.kept), rows(out, plan.padded));
}

template <class T>
void finish(const SparseAttentionArgs& args, const AttentionPlan& plan, const Block& block) {
  for (std::int64_t r = 0; r < block.count * plan.heads; ++r) {
    const std::int64_t row = (block.b * plan.queries + block.first) * plan.heads + r;
    args.lse.as<float>()[row] = finish_row(running_row(plan, block, r), args.out.as<T>() + row * plan.dim, plan.dim);
  }
}

template <class T>
void forward_block_of(const SparseAttentionArgs& args, const AttentionPlan& plan, std::int64_t b, std::int64_t index,
                      Arena& arena) {
  const std::int64_t most = plan.rows_per_block(), wide = plan.block * plan.padded_heads;
  const std::int64_t scores = std::max(most * kScoreStride, plan.picks * plan.padded_heads);
  arena.reset(2 * most * plan.padded + scores + 2 * wide + plan.padded * plan.padded_heads + plan.picks + 4 * most);
  Block block{b,
              index * plan.block,
              std::min(plan.block, plan.queries - index * plan.block),
              arena.take(most * plan.padded),
              arena.take(most * plan.padded),
              arena.take(scores),
              arena.take(wide),
              arena.take(wide),
              arena.take(plan.padded * plan.padded_heads),
              arena.take<std::int32_t>(plan.picks),
              arena.take<KeyRange>(most)};
  const std::int64_t count = block.count * plan.heads, first_row = (b * plan.queries + block.first) * plan.heads;
  for (std::int64_t r = 0; r < count; ++r)
    widen_row(args.q.as<const T>() + (first_row + r) * plan.dim, block.q + r * plan.padded, plan.dim, plan.padded,
              plan.shape.scale);
  clear(block.out, count * plan.padded);
  clear(block.turned, plan.padded * plan.padded_heads);
  for (std::int64_t i = 0; i < wide; ++i) {
    const std::int64_t h = i % plan.padded_heads;
    const bool sink = args.sinks && h < plan.heads;
    block.top[i] = sink             ? args.sinks.as<const float>()[h]
                   : h < plan.heads ? -std::numeric_limits<float>::infinity()
                                    : 0.0f;
    block.total[i] = sink && block.top[i] > -std::numeric_limits<float>::infinity() ? 1.0f : 0.0f;
  }
  attend_dense(plan, block, false);
  if (plan.dense_entries()) attend_dense(plan, block, true);
  if (plan.indices)
    for (std::int64_t t = block.first; t < block.first + block.count; ++t) attend_picked(plan, block, t);
  finish<T>(args, plan, block);
}

void prepare_panel(const TensorView& keys, KeySource source, std::int64_t panel, std::int64_t padded, float* to_rows,
                   float* to_panels) {
  const std::int64_t panels = KeySource::panel_count(source.count), b = panel / panels, first = panel % panels * kPanel;
  const std::int64_t dim = keys.shape[2], at = b * source.count + first, count = std::min(kPanel, source.count - first);
  float* out = to_panels ? to_panels + panel * kPanel * padded : nullptr;
  if (keys.dtype == DType::bf16)
    copy_panel(keys.as<const BFloat16>() + at * dim, dim, count, dim, padded, to_rows + at * padded, out);
  else
    copy_panel(keys.as<const float>() + at * dim, dim, count, dim, padded, to_rows + at * padded, out);
}

void forward_block(const SparseAttentionArgs& args, const AttentionPlan& plan, std::int64_t b, std::int64_t index,
                   Arena& arena) {
  args.q.dtype == DType::bf16 ? forward_block_of<BFloat16>(args, plan, b, index, arena)
                              : forward_block_of<float>(args, plan, b, index, arena);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {
HWY_EXPORT(forward_block);
HWY_EXPORT(prepare_panel);
}  // namespace

std::int64_t source_floats(const KeySource& source, std::int64_t batch, std::int64_t padded, bool panels) {
  return batch * padded * (source.count + (panels ? KeySource::panel_count(source.count) * kPanel : 0));
}

void prepare_source(KeySource& source, const TensorView& keys, std::int64_t padded, bool with_panels, Arena& arena) {
  const std::int64_t batch = keys.shape[0], panels = batch * KeySource::panel_count(source.count);
  float* to_rows = arena.take(batch * source.count * padded);
  float* to_panels = with_panels ? arena.take(panels * kPanel * padded) : nullptr;
  source.rows = to_rows;
  source.panels = to_panels;
  parallel_blocks(panels, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel)
      HWY_DYNAMIC_DISPATCH(prepare_panel)(keys, source, panel, padded, to_rows, to_panels);
  });
}

std::int64_t key_floats(const AttentionPlan& plan) {
  return source_floats(plan.kv, plan.batch, plan.padded, true) +
         source_floats(plan.entries, plan.batch, plan.padded, plan.dense_entries());
}

void prepare_keys(AttentionPlan& plan, const TensorView& kv, const TensorView& entries, Arena& arena) {
  prepare_source(plan.kv, kv, plan.padded, true, arena);
  if (plan.entries.count > 0) prepare_source(plan.entries, entries, plan.padded, plan.dense_entries(), arena);
}

namespace {

void sparse_attention(const SparseAttentionArgs& args) {
  AttentionPlan plan(args);
  static thread_local Arena keys;
  keys.reset(key_floats(plan));
  prepare_keys(plan, args.kv, args.entries, keys);
  const std::int64_t blocks = (plan.queries + plan.block - 1) / plan.block;
  parallel_tasks(plan.batch * blocks, [&](std::int64_t task) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(forward_block)(args, plan, task / blocks, task % blocks, arena);
  });
}

}  // namespace

void add_attention_kernels() { add_kernel<SparseAttentionArgs>(Device::cpu, "simd", sparse_attention); }

}  // namespace orrery
#endif  // HWY_ONCE
