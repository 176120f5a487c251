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
#include "kernels/cpu/math-inl.h"

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

inline constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// Keys that a product takes at once, as many as fill its registers: a divisor of kPanel.
inline constexpr std::int64_t kStrip = kTileVectors * kLanes;
// Rows whose weights meet the values together.
inline constexpr std::int64_t kRowGroup = 2 * kTileRows;

// The columns of a chunk that each row of a block sees. Neither begin nor end falls from one row to the next, so that
// products leave out what no row of theirs sees.
struct SeenColumns {
  const KeyRange* of;
  std::int64_t rows, width;  // width: of the chunk

  KeyRange group(std::int64_t first) const { return {of[first].begin, of[std::min(first + kRowGroup, rows) - 1].end}; }
};

// Calls body(first column, first row, rows) for every `step` columns from `start` on and the rows that see some of
// them.
template <class Body>
HWY_INLINE void for_columns_seen(const SeenColumns& seen, std::int64_t start, std::int64_t step, const Body& body) {
  std::int64_t first = 0, last = 0;
  for (std::int64_t c = start; c < seen.width; c += step) {
    while (first < seen.rows && seen.of[first].end <= c) ++first;
    while (last < seen.rows && seen.of[last].begin < c + step) ++last;
    if (first < last) body(c, first, last - first);
  }
}

// out[r][c] = x[r] · key_(begin + c) where rows see columns, begin a multiple of kStrip.
HWY_INLINE void scores_of(const float* x, const SeenColumns& seen, const float* panels, std::int64_t padded,
                          std::int64_t begin, float* out) {
  for_columns_seen(seen, 0, kStrip, [&](std::int64_t c, std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t key = begin + c, width = round_up(std::min(kStrip, seen.width - c), kLanes);
    gemm<false>(count, width, padded, rows(x + first * padded, padded), 1,
                rows(panels + key / kPanel * kPanel * padded + key % kPanel, kPanel),
                rows(out + first * kScoreStride + c, kScoreStride));
  });
}

// out[r] += Σ_c weights[r][c] · values[c] over the columns that r's group sees; weights of those r does not see are 0.
HWY_INLINE void add_weighted(const float* weights, const SeenColumns& seen, const float* values, std::int64_t padded,
                             float* out) {
  for (std::int64_t n = 0; n < padded; n += kStrip)
    for (std::int64_t r = 0; r < seen.rows; r += kRowGroup) {
      const KeyRange range = seen.group(r);
      if (range.begin < range.end)
        gemm<true>(std::min(kRowGroup, seen.rows - r), std::min(kStrip, padded - n), range.end - range.begin,
                   rows(weights + r * kScoreStride + range.begin, kScoreStride), 1,
                   rows(values + range.begin * padded + n, padded), rows(out + r * padded + n, padded));
    }
}

// out[c − start] += Σ_r weights[r][c] · x[r] for the columns from `start` on, in groups, over the rows that see some of
// a group; weights of those that r does not see are 0.
HWY_INLINE void add_turned(const float* weights, const SeenColumns& seen, std::int64_t start, const float* x,
                           std::int64_t padded, float* out) {
  for_columns_seen(seen, start, kRowGroup, [&](std::int64_t c, std::int64_t first, std::int64_t count) HWY_ATTR {
    gemm<true>(std::min(kRowGroup, seen.width - c), padded, count, rows(weights + first * kScoreStride + c, 1),
               kScoreStride, rows(x + first * padded, padded), rows(out + (c - start) * padded, padded));
  });
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

// The largest of scores · scale in the columns [lo, hi), lo < hi; those of the vectors that the ends lie in become −∞.
HWY_INLINE float top_of_columns(float* scores, std::int64_t lo, std::int64_t hi, Vec scale) {
  const std::int64_t begin = lo / kLanes * kLanes, end = round_up(hi, kLanes);
  for (std::int64_t i = begin; i < lo; ++i) scores[i] = kUnseen;
  for (std::int64_t i = hi; i < end; ++i) scores[i] = kUnseen;
  Vec high = set(kUnseen), other = high;
  std::int64_t i = begin;
  for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
    high = hn::Max(high, hn::Mul(load(scores + i), scale));
    other = hn::Max(other, hn::Mul(load(scores + i + kLanes), scale));
  }
  if (i < end) high = hn::Max(high, hn::Mul(load(scores + i), scale));
  return max_of(hn::Max(high, other));
}

// weights = e^(scores · scale − top) in the vectors of the columns [lo, hi); returns their sum.
template <class W>
HWY_INLINE float weigh_columns(const float* scores, std::int64_t lo, std::int64_t hi, Vec scale, float top,
                               W* weights) {
  const std::int64_t begin = lo / kLanes * kLanes, end = round_up(hi, kLanes);
  const Vec shift = set(top == kUnseen ? 0.0f : top);
  const auto weigh = [&](std::int64_t at) HWY_ATTR {
    const Vec p = exp_below_zero(hn::Sub(hn::Mul(load(scores + at), scale), shift));
    store(p, weights + at);
    return p;
  };
  Vec sum = zero(), other = zero();
  std::int64_t i = begin;
  for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
    sum = hn::Add(sum, weigh(i));
    other = hn::Add(other, weigh(i + kLanes));
  }
  if (i < end) sum = hn::Add(sum, weigh(i));
  return sum_of(hn::Add(sum, other));
}

HWY_INLINE void scale_row(float* row, std::int64_t width, float factor) {
  const Vec f = set(factor);
  for (std::int64_t i = 0; i < width; i += kLanes) store(hn::Mul(load(row + i), f), row + i);
}

// Scores · factor of the columns [lo, hi), lo < hi, become weights against the running maximum; those of the vectors
// that the ends lie in become 0.
template <class W>
HWY_INLINE void soften_columns(float* scores, std::int64_t lo, std::int64_t hi, float factor, W* weights,
                               const RunningRow& row) {
  const Vec scale = set(factor);
  const float before = *row.top, top = std::max(before, top_of_columns(scores, lo, hi, scale));
  if (top > before) {
    const float fade = *row.total == 0 ? 0.0f : std::exp(before - top);
    *row.total *= fade;
    scale_row(row.out, row.width, fade);
    *row.top = top;
  }
  *row.total += weigh_columns(scores, lo, hi, scale, top, weights);
}

// The first `dim` values of the weighted mean; returns the log of the sum of exponentials.
template <class T>
HWY_INLINE float finish_row(const RunningRow& row, T* to, std::int64_t dim) {
  const float total = *row.total;
  narrow_row(row.out, to, dim, total == 0 ? 0.0f : 1 / total);
  return total == 0 ? kUnseen : *row.top + std::log(total);
}

HWY_INLINE void clear(float* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = 0.0f;
}

// Zeros for the columns of `around` outside `own`, whose own vectors are whole.
HWY_INLINE void clear_around(float* row, KeyRange own, KeyRange around) {
  if (own.begin >= own.end) return clear(row + around.begin, around.end - around.begin);
  clear(row + around.begin, own.begin / kLanes * kLanes - around.begin);
  clear(row + round_up(own.end, kLanes), around.end - round_up(own.end, kLanes));
}

// Every row's scores of the columns that it sees become weights against its running maximum, row_of(r), and 0 where its
// group sees more. Rows go a group at a time, a step of all before the next step: none waits for its own maximum.
template <class RowOf>
HWY_INLINE void soften_rows(float* scores, const SeenColumns& seen, const RowOf& row_of) {
  const Vec one = set(1.0f);
  for (std::int64_t first = 0; first < seen.rows; first += kRowGroup) {
    const std::int64_t count = std::min(kRowGroup, seen.rows - first);
    const KeyRange* own = seen.of + first;
    float* from = scores + first * kScoreStride;
    float before[kRowGroup], top[kRowGroup], fade[kRowGroup];
    for (std::int64_t r = 0; r < count; ++r) {
      before[r] = top[r] = *row_of(first + r).top;
      if (own[r].begin < own[r].end)
        top[r] = std::max(before[r], top_of_columns(from + r * kScoreStride, own[r].begin, own[r].end, one));
    }
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR {
      const Vec high = in(top), shift = hn::IfThenElseZero(hn::Gt(high, set(kUnseen)), high);
      out(exp_below_zero(hn::Sub(in(before), shift)), fade);
    });
    for (std::int64_t r = 0; r < count; ++r) {
      const RunningRow row = row_of(first + r);
      float* weights = from + r * kScoreStride;
      clear_around(weights, own[r], seen.group(first));
      if (own[r].begin >= own[r].end) continue;
      const float sum = weigh_columns(weights, own[r].begin, own[r].end, one, top[r], weights);
      *row.total = *row.total * fade[r] + sum;
      if (top[r] > before[r]) scale_row(row.out, row.width, fade[r]);
      *row.top = top[r];
    }
  }
}

// A row of the backward pass, of columns `own`: scores become p · (grads − δ), grads become p = e^(scores − lse). Both
// are 0 where products of `seen` reach beyond.
HWY_INLINE void slope_columns(float* scores, float* grads, const SeenColumns& seen, std::int64_t r, float lse,
                              float delta) {
  const KeyRange sees = seen.of[r], own = lse == kUnseen ? KeyRange{sees.begin, sees.begin} : sees;
  const KeyRange group = seen.group(r / kRowGroup * kRowGroup);
  const KeyRange around{std::max<std::int64_t>(0, std::min(group.begin, sees.begin - kRowGroup)),
                        std::min(seen.width, std::max(group.end, sees.end + kRowGroup))};
  clear_around(scores, own, around);
  clear_around(grads, own, around);
  if (own.begin >= own.end) return;
  const std::int64_t begin = own.begin / kLanes * kLanes, end = round_up(own.end, kLanes);
  for (std::int64_t i = begin; i < own.begin; ++i) scores[i] = kUnseen, grads[i] = 0;
  for (std::int64_t i = own.end; i < end; ++i) scores[i] = kUnseen, grads[i] = 0;
  const Vec shift = set(lse), center = set(delta);
  for (std::int64_t i = begin; i < end; i += kLanes) {
    const Vec p = exp_below_zero(hn::Sub(load(scores + i), shift));
    store(hn::Mul(p, hn::Sub(load(grads + i), center)), scores + i);
    store(p, grads + i);
  }
}

// What the rows (query − first) · heads + head see of the keys in `chunk`, in `memory` [rows].
HWY_INLINE SeenColumns seen_columns(const AttentionPlan& plan, bool of_entries, std::int64_t first, std::int64_t count,
                                    KeyRange chunk, KeyRange* memory) {
  const std::int64_t width = chunk.end - chunk.begin;
  for (std::int64_t t = 0; t < count; ++t) {
    const KeyRange range = plan.range(of_entries, first + t);
    const KeyRange own{std::clamp<std::int64_t>(range.begin - chunk.begin, 0, width),
                       std::clamp<std::int64_t>(range.end - chunk.begin, 0, width)};
    std::fill_n(memory + t * plan.heads, plan.heads, own);
  }
  return {memory, count * plan.heads, width};
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
