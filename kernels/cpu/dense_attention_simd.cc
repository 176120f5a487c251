// Dense attention in f32 on Highway, for machines that have no bf16 products of their own: a block of queries of one
// head against chunks of keys with a running softmax (Dao et al. 2022), by the products of attention_block-inl.h, which
// leave out what a causal block does not see. A task copies its key head's keys and values to f32 first, so that they
// come from the cache, and then takes a part of the queries (forward) or all of them (backward) of the key head's
// heads: results depend on the shape alone.
//   p = e^(s − lse);  δ = out · grad_out;  grad_s = p (grad_out · v − δ);
//   grad_q = scale Σ grad_s k;  grad_k = Σ grad_s · scale q;  grad_v = Σ p grad_out.
#include <cmath>
#include <type_traits>

#include "kernels/api/dense_attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dense_attention_simd.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/attention_keys-inl.h"
#include "kernels/cpu/dense_attention_plan.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Queries [first, first + count) of head h of batch b.
struct Block {
  std::int64_t b, h, first, count;
};

Block block_of(const DensePlan& plan, std::int64_t b, std::int64_t h, std::int64_t index) {
  const std::int64_t first = index * kDenseRows;
  return {b, h, first, std::min(kDenseRows, plan.queries - first)};
}

// f32 copies of one key head's keys or values: rows, panels (attention_plan.h), or both.
struct HeadCopies {
  float *rows = nullptr, *panels = nullptr;
};

// The first `count` of x[b, :, h]. Without rows, `aside` [kPanel][padded] takes a panel's.
template <class T>
void copy_head(const TensorView& x, std::int64_t b, std::int64_t h, std::int64_t count, std::int64_t padded,
               const HeadCopies& to, float* aside) {
  const std::int64_t dim = x.shape[3], stride = x.strides[1];
  for (std::int64_t s = 0; s < count; s += kPanel) {
    const T* from = x.as<const T>() + b * x.strides[0] + s * stride + h * x.strides[2];
    const std::int64_t rows = std::min(kPanel, count - s);
    float* panel = to.panels ? to.panels + s * padded : nullptr;
    if constexpr (std::is_same_v<T, float>) {
      if (!to.rows && dim == padded) {  // as it lies
        turn_panel(from, stride, rows, padded, panel);
        continue;
      }
    }
    copy_panel(from, stride, rows, dim, padded, to.rows ? to.rows + s * padded : aside, panel);
  }
}

template <class T>
T* row_at(const TensorView& x, const Block& block, std::int64_t r) {
  return x.as<T>() + block.b * x.strides[0] + (block.first + r) * x.strides[1] + block.h * x.strides[2];
}

template <class T>
void load_rows(const TensorView& x, const Block& block, std::int64_t padded, float factor, float* to) {
  for (std::int64_t r = 0; r < block.count; ++r)
    widen_row(row_at<const T>(x, block, r), to + r * padded, x.shape[3], padded, factor);
}

SeenColumns seen_columns(const DensePlan& plan, const Block& block, std::int64_t begin, KeyRange* memory) {
  const std::int64_t width = std::min(kChunk, plan.seen(block.first + block.count - 1) - begin);
  for (std::int64_t r = 0; r < block.count; ++r)
    memory[r] = {0, std::clamp<std::int64_t>(plan.seen(block.first + r) - begin, 0, width)};
  return {memory, block.count, width};
}

// Adds the mask's row of the block's r-th query, from key `begin` on, to its scores.
template <class Args>
void add_mask(const Args& args, const Block& block, std::int64_t r, std::int64_t begin, std::int64_t count,
              float* scores) {
  const float* mask = args.mask.template as<const float>() + (block.first + r) * args.k.shape[1] + begin;
  for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(hn::Add(in(scores), in(mask)), scores); });
}

struct ForwardBuffers {
  float *panels, *values;                 // of the keys, [depth] a key; [keys][width]
  float *q, *out, *scores, *top, *total;  // a block's: [kDenseRows][…]
  KeyRange* ranges;
};

template <class T>
void forward_block(const DenseAttentionArgs& args, const DensePlan& plan, const Block& block,
                   const ForwardBuffers& with) {
  load_rows<T>(args.q, block, plan.depth, args.scale, with.q);
  clear(with.out, kDenseRows * plan.width);
  clear(with.total, kDenseRows);
  std::fill_n(with.top, kDenseRows, kUnseen);
  const auto running = [&](std::int64_t r) HWY_ATTR {
    return RunningRow{with.top + r, with.total + r, with.out + r * plan.width, plan.width};
  };
  const std::int64_t end = plan.seen(block.first + block.count - 1);
  for (std::int64_t c = 0; c < end; c += kChunk) {
    const SeenColumns seen = seen_columns(plan, block, c, with.ranges);
    scores_of(with.q, seen, with.panels, plan.depth, c, with.scores);
    for (std::int64_t r = 0; args.mask && r < seen.rows; ++r)
      add_mask(args, block, r, c, seen.of[r].end, with.scores + r * kScoreStride);
    soften_rows(with.scores, seen, running);
    add_weighted(with.scores, seen, with.values + c * plan.width, plan.width, with.out);
  }
  for (std::int64_t r = 0; r < block.count; ++r)
    args.lse.as<float>()[(block.b * plan.queries + block.first + r) * args.q.shape[2] + block.h] =
        finish_row(running(r), row_at<T>(args.out, block, r), args.v.shape[3]);
}

// Blocks [begin, end) of the heads of a key head.
template <class T>
void forward_part_of(const DenseAttentionArgs& args, const DensePlan& plan, std::int64_t b, std::int64_t key_head,
                     std::int64_t begin, std::int64_t end, Arena& arena) {
  const std::int64_t keys = plan.seen(std::min(plan.queries, end * kDenseRows) - 1), padded = round_up(keys, kPanel);
  arena.reset(padded * (plan.depth + plan.width) + kDenseRows * (plan.depth + plan.width + kScoreStride + 2 + 4));
  const ForwardBuffers with{arena.take(padded * plan.depth),
                            arena.take(padded * plan.width),
                            arena.take(kDenseRows * plan.depth),
                            arena.take(kDenseRows * plan.width),
                            arena.take(kDenseRows * kScoreStride),
                            arena.take(kDenseRows),
                            arena.take(kDenseRows),
                            arena.take<KeyRange>(kDenseRows)};
  copy_head<T>(args.k, b, key_head, keys, plan.depth, {nullptr, with.panels}, with.q);
  copy_head<T>(args.v, b, key_head, keys, plan.width, {with.values, nullptr}, nullptr);
  for (std::int64_t h = key_head * plan.group; h < (key_head + 1) * plan.group; ++h)
    for (std::int64_t index = begin; index < end; ++index)
      forward_block<T>(args, plan, block_of(plan, b, h, index), with);
}

// One key head: copies of the keys and values, and grad_k and grad_v in f32 for all of its queries.
struct HeadGradients {
  HeadCopies keys, values;
  float *k, *v;                                     // [keys][depth], [keys][width]
  float *q, *grad_out, *grad_q, *scores, *weights;  // a block's: [kDenseRows][…]
  KeyRange* ranges;
};

template <class T>
void backward_block(const DenseAttentionBackwardArgs& args, const DensePlan& plan, const Block& block,
                    const HeadGradients& to) {
  load_rows<T>(args.q, block, plan.depth, args.scale, to.q);
  load_rows<T>(args.grad_out, block, plan.width, 1.0f, to.grad_out);
  clear(to.grad_q, block.count * plan.depth);
  float lse[kDenseRows], delta[kDenseRows];
  for (std::int64_t r = 0; r < block.count; ++r) {
    const T *out = row_at<const T>(args.out, block, r), *grad = row_at<const T>(args.grad_out, block, r);
    Vec sum;
    sum_vectors<1>(args.v.shape[3], &sum,
                   [&](auto in, auto, Vec* sums) HWY_ATTR { *sums = hn::MulAdd(in(out), in(grad), *sums); });
    delta[r] = sum_of(sum);
    lse[r] = args.lse.as<const float>()[(block.b * plan.queries + block.first + r) * args.q.shape[2] + block.h];
  }
  const std::int64_t end = plan.seen(block.first + block.count - 1);
  for (std::int64_t c = 0; c < end; c += kChunk) {
    const SeenColumns seen = seen_columns(plan, block, c, to.ranges);
    scores_of(to.q, seen, to.keys.panels, plan.depth, c, to.scores);
    scores_of(to.grad_out, seen, to.values.panels, plan.width, c, to.weights);
    for (std::int64_t r = 0; r < seen.rows; ++r) {
      float* row = to.scores + r * kScoreStride;
      if (args.mask) add_mask(args, block, r, c, seen.of[r].end, row);
      slope_columns(row, to.weights + r * kScoreStride, seen, r, lse[r], delta[r]);
    }
    add_weighted(to.scores, seen, to.keys.rows + c * plan.depth, plan.depth, to.grad_q);
    add_turned(to.scores, seen, 0, to.q, plan.depth, to.k + c * plan.depth);
    add_turned(to.weights, seen, 0, to.grad_out, plan.width, to.v + c * plan.width);
  }
  for (std::int64_t r = 0; r < block.count; ++r)
    narrow_row(to.grad_q + r * plan.depth, row_at<T>(args.grad_q, block, r), args.q.shape[3], args.scale);
}

template <class T>
void backward_head_of(const DenseAttentionBackwardArgs& args, const DensePlan& plan, std::int64_t b,
                      std::int64_t key_head, Arena& arena) {
  const std::int64_t keys = plan.keys, padded = round_up(keys, kPanel);
  arena.reset(padded * (3 * plan.depth + 2 * plan.width) +
              kDenseRows * (2 * plan.depth + plan.width + 2 * kScoreStride + 4));
  const HeadGradients to{{arena.take(padded * plan.depth), arena.take(padded * plan.depth)},
                         {nullptr, arena.take(padded * plan.width)},
                         arena.take(padded * plan.depth),
                         arena.take(padded * plan.width),
                         arena.take(kDenseRows * plan.depth),
                         arena.take(kDenseRows * plan.width),
                         arena.take(kDenseRows * plan.depth),
                         arena.take(kDenseRows * kScoreStride),
                         arena.take(kDenseRows * kScoreStride),
                         arena.take<KeyRange>(kDenseRows)};
  copy_head<T>(args.k, b, key_head, keys, plan.depth, to.keys, nullptr);
  copy_head<T>(args.v, b, key_head, keys, plan.width, to.values, to.grad_out);
  clear(to.k, keys * plan.depth);
  clear(to.v, keys * plan.width);
  for (std::int64_t h = key_head * plan.group; h < (key_head + 1) * plan.group; ++h)
    for (std::int64_t index = 0; index < plan.blocks(); ++index)
      backward_block<T>(args, plan, block_of(plan, b, h, index), to);
  const Block all{b, key_head, 0, keys};
  for (std::int64_t s = 0; s < keys; ++s) {
    narrow_row(to.k + s * plan.depth, row_at<T>(args.grad_k, all, s), args.k.shape[3], 1.0f);
    narrow_row(to.v + s * plan.width, row_at<T>(args.grad_v, all, s), args.v.shape[3], 1.0f);
  }
}

}  // namespace

void dense_forward_part(const DenseAttentionArgs& args, const DensePlan& plan, std::int64_t b, std::int64_t key_head,
                        std::int64_t part, Arena& arena) {
  const std::int64_t begin = plan.blocks() * part / plan.parts, end = plan.blocks() * (part + 1) / plan.parts;
  args.q.dtype == DType::bf16 ? forward_part_of<BFloat16>(args, plan, b, key_head, begin, end, arena)
                              : forward_part_of<float>(args, plan, b, key_head, begin, end, arena);
}
void dense_backward_head(const DenseAttentionBackwardArgs& args, const DensePlan& plan, std::int64_t b,
                         std::int64_t key_head, Arena& arena) {
  args.q.dtype == DType::bf16 ? backward_head_of<BFloat16>(args, plan, b, key_head, arena)
                              : backward_head_of<float>(args, plan, b, key_head, arena);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(dense_forward_part);
HWY_EXPORT(dense_backward_head);

void forward(const DenseAttentionArgs& args) {
  const DensePlan plan(args);
  const std::int64_t heads = args.k.shape[2];
  parallel_tasks(args.q.shape[0] * heads * plan.parts, [&](std::int64_t task) {
    static thread_local Arena arena;
    // The last parts see the most keys: they start first.
    const std::int64_t part = plan.parts - 1 - task % plan.parts;
    HWY_DYNAMIC_DISPATCH(dense_forward_part)
    (args, plan, task / plan.parts / heads, task / plan.parts % heads, part, arena);
  });
}

void backward(const DenseAttentionBackwardArgs& args) {
  const DensePlan plan(args);
  const std::int64_t heads = args.k.shape[2];
  parallel_tasks(args.q.shape[0] * heads, [&](std::int64_t task) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(dense_backward_head)(args, plan, task / heads, task % heads, arena);
  });
}

template <class Args>
const char* reason_against(const Args& args) {
  if (args.q.dtype != DType::f32 && args.q.dtype != DType::bf16) return "dtype is neither f32 nor bf16";
  if (args.q.dtype == DType::bf16 && onednn::native_bf16()) return "the machine multiplies bf16 itself";
  if (args.q.numel() == 0 || args.k.numel() == 0 || args.v.numel() == 0) return "nothing to do";
  // Measured with 1,024 keys: with fewer queries a key head its copies cost more than oneDNN's own.
  if (args.q.shape[1] * (args.q.shape[2] / args.k.shape[2]) < kDenseRows) return "less than a block of queries a key";
  for (const TensorView* view : {&args.q, &args.k, &args.v})
    if (view->strides[3] != 1) return "rows are not contiguous";
  return nullptr;
}

}  // namespace

void add_dense_attention_simd_kernels() {
  add_kernel<DenseAttentionArgs>(Device::cpu, "simd", forward, reason_against<DenseAttentionArgs>);
  add_kernel<DenseAttentionBackwardArgs>(Device::cpu, "simd", backward, reason_against<DenseAttentionBackwardArgs>);
}

}  // namespace orrery
#endif  // HWY_ONCE
