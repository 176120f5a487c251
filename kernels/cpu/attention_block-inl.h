// What the forward and backward passes of the fast attention share, once a target.
#if defined(ORRERY_KERNELS_CPU_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_ATTENTION_BLOCK_INL_H_
#undef ORRERY_KERNELS_CPU_ATTENTION_BLOCK_INL_H_
#else
#define ORRERY_KERNELS_CPU_ATTENTION_BLOCK_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

// out[r][c] = x[r] · key_c for the keys [begin, end) of a source, begin a multiple of 16: columns from 0, rounded up
// to 16.
HWY_INLINE void scores_of(const float* x, std::int64_t count, const float* panels, std::int64_t padded,
                          std::int64_t begin, std::int64_t end, float* out) {
  for (std::int64_t c = begin; c < end;) {
    const std::int64_t panel = c / kPanel, next = std::min(end, (panel + 1) * kPanel);
    const float* keys = panels + panel * kPanel * padded + c % kPanel;
    gemm<false>(count, round_up(next - c, 16), padded, rows(x, padded), 1, rows(keys, kPanel),
                rows(out + (c - begin), kScoreStride));
    c = next;
  }
}

// Calls body(i, mask) for the vectors of a row that touch columns [lo, hi).
template <class Body>
HWY_INLINE void for_columns(std::int64_t lo, std::int64_t hi, const Body& body) {
  const Ints d;
  const auto first = hn::Set(d, static_cast<std::int32_t>(lo)), last = hn::Set(d, static_cast<std::int32_t>(hi));
  for (std::int64_t i = lo / kLanes * kLanes; i < hi; i += kLanes) {
    const auto column = hn::Iota(d, static_cast<std::int32_t>(i));
    const auto mask = hn::RebindMask(Floats(), hn::AndNot(hn::Lt(column, first), hn::Lt(column, last)));
    body(i, mask);
  }
}

// A row's softmax on its way: the largest score, the sum of the weights against it, and the weighted sum so far.
struct RunningRow {
  float *top, *total, *out;
  std::int64_t width;  // of out, a multiple of the vector
};

// Scores · factor of the columns [lo, hi), lo < hi, become weights against the running maximum.
template <class W>
HWY_INLINE void soften_columns(const float* scores, std::int64_t lo, std::int64_t hi, float factor, W* weights,
                               const RunningRow& row) {
  const Vec scale = set(factor), lowest = set(-std::numeric_limits<float>::infinity());
  Vec high = lowest;
  for_columns(lo, hi, [&](std::int64_t i, auto mask) HWY_ATTR {
    high = hn::Max(high, hn::IfThenElse(mask, hn::Mul(load(scores + i), scale), lowest));
  });
  const float before = *row.top, top = std::max(before, max_of(high));
  Vec sum = zero();
  const Vec shift = set(top);
  for_columns(lo, hi, [&](std::int64_t i, auto mask) HWY_ATTR {
    const Vec p = hn::IfThenElseZero(mask, exp(hn::Sub(hn::Mul(load(scores + i), scale), shift)));
    sum = hn::Add(sum, p);
    store(p, weights + i);
  });
  if (top > before) {
    const float fade = *row.total > 0 ? std::exp(before - top) : 0.0f;
    *row.total *= fade;
    for (std::int64_t i = 0; i < row.width; i += kLanes) store(hn::Mul(load(row.out + i), set(fade)), row.out + i);
    *row.top = top;
  }
  *row.total += sum_of(sum);
}

// The first `dim` values of the weighted mean; returns the log of the sum of exponentials.
template <class T>
HWY_INLINE float finish_row(const RunningRow& row, T* to, std::int64_t dim) {
  const float total = *row.total;
  narrow_row(row.out, to, dim, total > 0 ? 1 / total : 0.0f);
  return total > 0 ? *row.top + std::log(total) : -std::numeric_limits<float>::infinity();
}

HWY_INLINE void clear(float* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = 0.0f;
}

// Writes the valid entries among a query's picks to `kept`; returns how many.
HWY_INLINE std::int64_t valid_picks(const AttentionPlan& plan, std::int64_t b, std::int64_t t, std::int32_t* kept) {
  const std::int32_t* picks = plan.indices + (b * plan.queries + t) * plan.picks;
  const std::int64_t visible = plan.visible(t);
  std::int64_t count = 0;
  for (std::int64_t k = 0; k < plan.picks; ++k)
    if (picks[k] >= 0 && picks[k] < visible) kept[count++] = picks[k];
  return count;
}

// x [heads][padded] of one query as [padded][stride], heads last; columns beyond the heads are left alone.
HWY_INLINE void heads_last(const AttentionPlan& plan, const float* x, float* out, std::int64_t stride) {
  for (std::int64_t h = 0; h < plan.heads; ++h)
    for (std::int64_t i = 0; i < plan.padded; ++i) out[i * stride + h] = x[h * plan.padded + i];
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
