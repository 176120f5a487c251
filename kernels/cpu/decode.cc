// Fixed-order kernels for generation (kernels/api/decode.h). Every dot product runs over k in vectors, even
// and odd vectors into two accumulators, whatever else is computed beside it. The number of lanes is the machine's:
// results are the same on one instruction set.
#include "kernels/api/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/decode.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Bytes ahead of the rows that are fetched: with few tokens a step is nothing but reading weights, and the distance
// covers the memory's delay. Rows of a matrix lie one behind the other; behind the last one nothing is read.
constexpr std::int64_t kAhead = 4096;

// The dot of a row of weights and a token's inputs.
template <bool fetch, class W>
HWY_INLINE void dot(const W* w, const float* x, std::int64_t k, float* result) {
  Vec even = zero(), odd = zero();
  std::int64_t at = 0;
  for (; at + 2 * kLanes <= k; at += 2 * kLanes) {
    if (fetch) hwy::Prefetch(reinterpret_cast<const char*>(w + at) + kAhead);
    even = hn::MulAdd(load(w + at), load(x + at), even);
    odd = hn::MulAdd(load(w + at + kLanes), load(x + at + kLanes), odd);
  }
  float sum = sum_of(hn::Add(even, odd));
  for (; at < k; ++at) sum = std::fma(to_float(w[at]), x[at], sum);
  *result = sum;
}

// The dots of rows anywhere and tokens side by side, each as if it were alone: the even vectors first and then the odd
// ones, so that as many rows and tokens as there are registers for one of the two sums share what is loaded.
template <int rows, int tokens, class W>
HWY_INLINE void wide_dots(const W* const* w, const float* x, std::int64_t k, float* results) {
  const std::int64_t whole = k - k % (2 * kLanes);
  Vec sums[2][rows * tokens];
  for (int half = 0; half < 2; ++half) {
    Vec sum[rows * tokens];
    for (int i = 0; i < rows * tokens; ++i) sum[i] = zero();
    for (std::int64_t at = half * kLanes; at < whole; at += 2 * kLanes) {
      Vec weights[rows];
      for (int r = 0; r < rows; ++r) weights[r] = load(w[r] + at);
      for (int t = 0; t < tokens; ++t) {
        const Vec input = load(x + t * k + at);
        for (int r = 0; r < rows; ++r) sum[r * tokens + t] = hn::MulAdd(weights[r], input, sum[r * tokens + t]);
      }
    }
    for (int i = 0; i < rows * tokens; ++i) sums[half][i] = sum[i];
  }
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) {
      float sum = sum_of(hn::Add(sums[0][r * tokens + t], sums[1][r * tokens + t]));
      for (std::int64_t i = whole; i < k; ++i) sum = std::fma(to_float(w[r][i]), x[t * k + i], sum);
      results[r * tokens + t] = sum;
    }
}

// Rows of weights and tokens that go together: as many sums as leave registers for what is loaded.
constexpr int kTileRows = kLanes >= 16 ? 4 : 3;
constexpr int kTileTokens = 4;
// Inputs of so many bytes stay in the first cache while the weights pass by.
constexpr std::int64_t kNearBytes = 24 << 10;
// Heads that share the reading of a row.
constexpr int kTileHeads = 4;

template <int rows, class W>
HWY_INLINE void matmul_tile(const W* w, const float* x, std::int64_t tokens, std::int64_t k, float* y,
                            std::int64_t stride) {
  float results[kTileTokens * rows];
  const W* each[rows];
  for (int r = 0; r < rows; ++r) each[r] = w + r * k;
  std::int64_t t = 0;
  for (; t + kTileTokens <= tokens; t += kTileTokens) {
    wide_dots<rows, kTileTokens>(each, x + t * k, k, results);
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < kTileTokens; ++i) y[(t + i) * stride + r] = results[r * kTileTokens + i];
  }
  // The first token brings the rows into the cache, best in the order in which they lie.
  for (; t < tokens; ++t)
    for (int r = 0; r < rows; ++r)
      t == 0 ? dot<true>(each[r], x, k, y + r) : dot<false>(each[r], x + t * k, k, y + t * stride + r);
}

template <class W>
void matmul_rows(const FixedMatmulArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t tokens = args.x.shape[0], k = args.x.shape[1], stride = args.y.strides[0];
  const W* w = args.w.as<const W>();
  float* const y = args.y.as<float>();
  const std::int64_t near =
      std::max<std::int64_t>(1, kNearBytes / (kTileTokens * k * std::int64_t{sizeof(float)})) * kTileTokens;
  for (std::int64_t first = 0; first < tokens; first += near) {
    const std::int64_t some = std::min(near, tokens - first);
    const float* x = args.x.as<const float>() + first * k;
    float* const to = y + first * stride;
    std::int64_t n = begin;
    for (; some >= kTileTokens && n + kTileRows <= end; n += kTileRows)
      matmul_tile<kTileRows>(w + n * k, x, some, k, to + n, stride);
    for (; n < end; ++n) matmul_tile<1>(w + n * k, x, some, k, to + n, stride);
  }
  if (!args.scales) return;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t n = begin; n < end; ++n) y[t * stride + n] *= args.scales[n];
}

// Scores of `rows` rows from `row` on with `heads` heads.
template <int rows, int heads>
HWY_INLINE void score_rows(const DecodeAttentionArgs& args, const float* q, std::int64_t row, float* scores,
                           float* top) {
  float score[rows * heads];
  wide_dots<rows, heads>(args.rows + row, q, args.dim, score);
  for (int i = 0; i < heads; ++i)
    for (int r = 0; r < rows; ++r) {
      scores[i * args.count + row + r] = score[r * heads + i] * args.scale;
      top[i] = std::max(top[i], scores[i * args.count + row + r]);
    }
}

// Vectors [at, at + vectors) of the heads' outputs; the only one may be partial.
template <int vectors, int heads>
HWY_INLINE void mix_rows(const DecodeAttentionArgs& args, const float* scores, const float* inverse, std::int64_t at,
                         float* out) {
  const std::int64_t left = args.dim - at;
  Vec sum[vectors * heads];
  for (int i = 0; i < vectors * heads; ++i) sum[i] = zero();
  for (std::int64_t row = 0; row < args.count; ++row) {
    const float* from = args.rows[row] + at;
    Vec value[vectors];
    for (int v = 0; v < vectors; ++v) value[v] = left >= kLanes ? load(from + v * kLanes) : load_part(from, left);
    for (int i = 0; i < heads; ++i) {
      const Vec share = set(scores[i * args.count + row]);
      for (int v = 0; v < vectors; ++v) sum[i * vectors + v] = hn::MulAdd(share, value[v], sum[i * vectors + v]);
    }
  }
  for (int i = 0; i < heads; ++i)
    for (int v = 0; v < vectors; ++v) {
      const Vec mean = hn::Mul(sum[i * vectors + v], set(inverse[i]));
      float* to = out + i * args.dim + at + v * kLanes;
      left >= kLanes ? store(mean, to) : store_part(mean, to, left);
    }
}

template <int heads>
HWY_INLINE void attend(const DecodeAttentionArgs& args, std::int64_t h) {
  const float* q = args.q + h * args.dim;
  float* const scores = args.scratch + h * args.count;
  float top[heads], inverse[heads];
  for (int i = 0; i < heads; ++i) top[i] = args.sinks ? args.sinks[h + i] : -std::numeric_limits<float>::infinity();
  std::int64_t row = 0;
  for (; row + kTileRows <= args.count; row += kTileRows) score_rows<kTileRows, heads>(args, q, row, scores, top);
  for (; row < args.count; ++row) score_rows<1, heads>(args, q, row, scores, top);
  for (int i = 0; i < heads; ++i) {
    float* mine = scores + i * args.count;
    const Vec shift = set(top[i]);
    std::int64_t r = 0;
    for (; r + kLanes <= args.count; r += kLanes) store(exp(hn::Sub(load(mine + r), shift)), mine + r);
    if (r < args.count) store_part(exp(hn::Sub(load_part(mine + r, args.count - r), shift)), mine + r, args.count - r);
    float total = 0;
    if (args.sinks) total = hn::GetLane(exp(set(args.sinks[h + i] - top[i])));
    for (r = 0; r < args.count; ++r) total += mine[r];
    inverse[i] = total > 0 ? 1.0f / total : 0.0f;
  }
  float* out = args.out + h * args.dim;
  std::int64_t at = 0;
  for (; at + 2 * kLanes <= args.dim; at += 2 * kLanes) mix_rows<2, heads>(args, scores, inverse, at, out);
  for (; at < args.dim; at += kLanes) mix_rows<1, heads>(args, scores, inverse, at, out);
}

}  // namespace

void run_fixed_matmul(const FixedMatmulArgs& args) {
  const std::int64_t work = args.x.shape[0] * args.x.shape[1];
  const std::int64_t grain = std::max<std::int64_t>(16, (1 << 15) / std::max<std::int64_t>(1, work));
  parallel_blocks(args.w.shape[0], grain, [&](std::int64_t begin, std::int64_t end) {
    if (args.w.dtype == DType::i8) {
      matmul_rows<std::int8_t>(args, begin, end);
    } else if (args.w.dtype == DType::bf16) {
      matmul_rows<BFloat16>(args, begin, end);
    } else {
      matmul_rows<float>(args, begin, end);
    }
  });
}

void run_decode_attention(const DecodeAttentionArgs& args) {
  const std::int64_t tiles = (args.heads + kTileHeads - 1) / kTileHeads;
  const std::int64_t grain = (1 << 15) / std::max<std::int64_t>(1, 2 * kTileHeads * args.count * args.dim) + 1;
  parallel_blocks(tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t h = begin * kTileHeads;
    const std::int64_t last = std::min(end * kTileHeads, args.heads);
    for (; h + kTileHeads <= last; h += kTileHeads) attend<kTileHeads>(args, h);
    for (; h < last; ++h) attend<1>(args, h);
  });
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(run_fixed_matmul);
HWY_EXPORT(run_decode_attention);

}  // namespace

void add_decode_kernels() {
  add_kernel<FixedMatmulArgs>(Device::cpu, "highway", [](const FixedMatmulArgs& args) {
    HWY_DYNAMIC_DISPATCH(run_fixed_matmul)(args);
  });
  add_kernel<DecodeAttentionArgs>(Device::cpu, "highway", [](const DecodeAttentionArgs& args) {
    HWY_DYNAMIC_DISPATCH(run_decode_attention)(args);
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
