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

// Dots of `rows` weight rows with `tokens` inputs, each as if it were alone.
template <int rows, int tokens, bool fetch, class W>
HWY_INLINE void dots(const W* w, const float* x, std::int64_t k, float* results) {
  Vec even[rows * tokens], odd[rows * tokens];
  for (int i = 0; i < rows * tokens; ++i) even[i] = odd[i] = zero();
  std::int64_t at = 0;
  for (; at + 2 * kLanes <= k; at += 2 * kLanes) {
    for (int r = 0; r < rows; ++r) {
      if (fetch) hwy::Prefetch(reinterpret_cast<const char*>(w + r * k + at) + kAhead);
      const Vec w0 = load(w + r * k + at), w1 = load(w + r * k + at + kLanes);
      for (int t = 0; t < tokens; ++t) {
        even[r * tokens + t] = hn::MulAdd(w0, load(x + t * k + at), even[r * tokens + t]);
        odd[r * tokens + t] = hn::MulAdd(w1, load(x + t * k + at + kLanes), odd[r * tokens + t]);
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) {
      float sum = sum_of(hn::Add(even[r * tokens + t], odd[r * tokens + t]));
      for (std::int64_t i = at; i < k; ++i) sum = std::fma(to_float(w[r * k + i]), x[t * k + i], sum);
      results[r * tokens + t] = sum;
    }
}

// Rows of weights at once beside four tokens: as many accumulators as there are registers.
constexpr int kTileRows = kLanes >= 16 ? 2 : 1;
// Heads that share the reading of a row.
constexpr int kTileHeads = 4;

template <int rows, class W>
HWY_INLINE void matmul_tile(const W* w, const float* x, std::int64_t tokens, std::int64_t k, float* y,
                            std::int64_t stride) {
  float results[4 * rows];
  std::int64_t t = 0;
  // The first tokens bring the rows into the cache.
  for (; t + 4 <= tokens; t += 4) {
    t == 0 ? dots<rows, 4, true>(w, x, k, results) : dots<rows, 4, false>(w, x + t * k, k, results);
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < 4; ++i) y[(t + i) * stride + r] = results[r * 4 + i];
  }
  for (; t < tokens; ++t) {
    t == 0 ? dots<rows, 1, true>(w, x, k, results) : dots<rows, 1, false>(w, x + t * k, k, results);
    std::copy_n(results, rows, y + t * stride);
  }
}

template <class W>
void matmul_rows(const FixedMatmulArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t tokens = args.x.shape[0], k = args.x.shape[1], stride = args.y.strides[0];
  const W* w = args.w.as<const W>();
  const float* x = args.x.as<const float>();
  float* y = args.y.as<float>();
  std::int64_t n = begin;
  if (tokens == 1)
    for (; n + 4 <= end; n += 4) matmul_tile<4>(w + n * k, x, 1, k, y + n, stride);
  for (; n + kTileRows <= end; n += kTileRows) matmul_tile<kTileRows>(w + n * k, x, tokens, k, y + n, stride);
  for (; n < end; ++n) matmul_tile<1>(w + n * k, x, tokens, k, y + n, stride);
  if (!args.scales) return;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (n = begin; n < end; ++n) y[t * stride + n] *= args.scales[n];
}

template <int heads>
HWY_INLINE void attend(const DecodeAttentionArgs& args, std::int64_t h) {
  const float* q = args.q + h * args.dim;
  float* const scores = args.scratch + h * args.count;
  float top[heads], inverse[heads];
  for (int i = 0; i < heads; ++i) top[i] = args.sinks ? args.sinks[h + i] : -std::numeric_limits<float>::infinity();
  for (std::int64_t r = 0; r < args.count; ++r) {
    float score[heads];
    dots<1, heads, false>(args.rows[r], q, args.dim, score);
    for (int i = 0; i < heads; ++i) {
      scores[i * args.count + r] = score[i] * args.scale;
      top[i] = std::max(top[i], scores[i * args.count + r]);
    }
  }
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
  for_vectors(args.dim, [&](std::int64_t at, auto, auto write) HWY_ATTR {
    const std::int64_t left = args.dim - at;
    Vec sum[heads];
    for (int i = 0; i < heads; ++i) sum[i] = zero();
    for (std::int64_t row = 0; row < args.count; ++row) {
      const float* from = args.rows[row] + at;
      const Vec value = left >= kLanes ? load(from) : load_part(from, left);
      for (int i = 0; i < heads; ++i) sum[i] = hn::MulAdd(set(scores[i * args.count + row]), value, sum[i]);
    }
    for (int i = 0; i < heads; ++i) write(hn::Mul(sum[i], set(inverse[i])), out + i * args.dim);
  });
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
  std::int64_t h = 0;
  for (; h + kTileHeads <= args.heads; h += kTileHeads) attend<kTileHeads>(args, h);
  for (; h < args.heads; ++h) attend<1>(args, h);
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
