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
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Dots of `rows` weight rows with `tokens` inputs; one of the two is 1 in every use.
template <int rows, int tokens, class W>
HWY_INLINE void dots(const W* w, const float* x, std::int64_t k, float* results) {
  Vec even[rows * tokens], odd[rows * tokens];
  for (int i = 0; i < rows * tokens; ++i) even[i] = odd[i] = zero();
  std::int64_t at = 0;
  for (; at + 2 * kLanes <= k; at += 2 * kLanes) {
    for (int r = 0; r < rows; ++r) {
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

template <class W>
void matmul_rows(const FixedMatmulArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t tokens = args.x.shape[0], k = args.x.shape[1], stride = args.y.strides[0];
  const W* w = args.w.as<const W>();
  const float* x = args.x.as<const float>();
  float* y = args.y.as<float>();
  float results[4];
  std::int64_t n = begin;
  if (tokens == 1) {
    for (; n + 4 <= end; n += 4) {
      dots<4, 1>(w + n * k, x, k, results);
      std::copy_n(results, 4, y + n);
    }
  }
  for (; n < end; ++n) {
    std::int64_t t = 0;
    for (; t + 4 <= tokens; t += 4) {
      dots<1, 4>(w + n * k, x + t * k, k, results);
      for (int i = 0; i < 4; ++i) y[(t + i) * stride + n] = results[i];
    }
    for (; t < tokens; ++t) {
      dots<1, 1>(w + n * k, x + t * k, k, results);
      y[t * stride + n] = results[0];
    }
  }
}

}  // namespace

void run_fixed_matmul(const FixedMatmulArgs& args) {
  const std::int64_t work = args.x.shape[0] * args.x.shape[1];
  const std::int64_t grain = std::max<std::int64_t>(16, (1 << 15) / std::max<std::int64_t>(1, work));
  parallel_blocks(args.w.shape[0], grain, [&](std::int64_t begin, std::int64_t end) {
    args.w.dtype == DType::bf16 ? matmul_rows<BFloat16>(args, begin, end) : matmul_rows<float>(args, begin, end);
  });
}

void run_decode_attention(const DecodeAttentionArgs& args) {
  for (std::int64_t h = 0; h < args.heads; ++h) {
    const float* q = args.q + h * args.dim;
    float top = args.sinks ? args.sinks[h] : -std::numeric_limits<float>::infinity();
    for (std::int64_t r = 0; r < args.count; ++r) {
      float score;
      dots<1, 1>(args.rows[r], q, args.dim, &score);
      args.scratch[r] = score * args.scale;
      top = std::max(top, args.scratch[r]);
    }
    const Vec shift = set(top);
    std::int64_t r = 0;
    for (; r + kLanes <= args.count; r += kLanes) store(exp(hn::Sub(load(args.scratch + r), shift)), args.scratch + r);
    if (r < args.count)
      store_part(exp(hn::Sub(load_part(args.scratch + r, args.count - r), shift)), args.scratch + r, args.count - r);
    float total = 0;
    if (args.sinks) total = hn::GetLane(exp(set(args.sinks[h] - top)));
    for (r = 0; r < args.count; ++r) total += args.scratch[r];
    const float inverse = total > 0 ? 1.0f / total : 0.0f;
    float* out = args.out + h * args.dim;
    for_vectors(args.dim, [&](std::int64_t i, auto, auto write) HWY_ATTR {
      const std::int64_t left = args.dim - i;
      Vec sum = zero();
      for (std::int64_t row = 0; row < args.count; ++row) {
        const float* from = args.rows[row] + i;
        sum = hn::MulAdd(set(args.scratch[row]), left >= kLanes ? load(from) : load_part(from, left), sum);
      }
      write(hn::Mul(sum, set(inverse)), out);
    });
  }
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
