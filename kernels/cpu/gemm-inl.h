// A small f32 matrix product on Highway for the blocks of the fused kernels: operands in cache, no packing, no threads.
//   C[m][n] (+)= Σ_k A[m][k] · B[k][n],  n < N, N a multiple of kLanes (the callers pad).
// The sum over k runs in order in one accumulator an element, so a result does not depend on how m and n are cut.
#if defined(ORRERY_KERNELS_CPU_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_GEMM_INL_H_
#undef ORRERY_KERNELS_CPU_GEMM_INL_H_
#else
#define ORRERY_KERNELS_CPU_GEMM_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

// Rows at base + r·stride, or at base + index[r]·stride.
template <class F>
struct Rows {
  F* base;
  std::int64_t stride;
  HWY_INLINE F* operator()(std::int64_t r) const { return base + r * stride; }
};
template <class F>
struct PickedRows {
  F* base;
  std::int64_t stride;
  const std::int32_t* index;
  HWY_INLINE F* operator()(std::int64_t r) const { return base + index[r] * stride; }
};
template <class F>
HWY_INLINE Rows<F> rows(F* base, std::int64_t stride) {
  return {base, stride};
}
template <class F>
HWY_INLINE PickedRows<F> picked(F* base, std::int64_t stride, const std::int32_t* index) {
  return {base, stride, index};
}

// Accumulators: 24 of AVX-512's 32 registers, 12 of the 16 of AVX2 and below.
inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

template <int kM, int kN, bool kAdd, class A, class B, class C>
HWY_INLINE void gemm_tile(std::int64_t m, std::int64_t n, std::int64_t depth, const A& a, std::int64_t a_step,
                          const B& b, const C& c) {
  Vec sum[kM][kN];
  const float* left_rows[kM];
  HWY_UNROLL(8)
  for (int i = 0; i < kM; ++i) {
    left_rows[i] = a(m + i);
    const float* out = c(m + i) + n;
    HWY_UNROLL(8)
    for (int j = 0; j < kN; ++j) sum[i][j] = kAdd ? load(out + j * kLanes) : zero();
  }
  std::int64_t offset = 0;
  for (std::int64_t k = 0; k < depth; ++k, offset += a_step) {
    const float* in = b(k) + n;
    Vec right[kN];
    HWY_UNROLL(8)
    for (int j = 0; j < kN; ++j) right[j] = load(in + j * kLanes);
    HWY_UNROLL(8)
    for (int i = 0; i < kM; ++i) {
      const Vec left = set(left_rows[i][offset]);
      HWY_UNROLL(8)
      for (int j = 0; j < kN; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < kM; ++i) {
    float* out = c(m + i) + n;
    HWY_UNROLL(8)
    for (int j = 0; j < kN; ++j) store(sum[i][j], out + j * kLanes);
  }
}

template <int kN, bool kAdd, class A, class B, class C>
HWY_INLINE void gemm_columns(std::int64_t count, std::int64_t n, std::int64_t depth, const A& a, std::int64_t a_step,
                             const B& b, const C& c) {
  std::int64_t m = 0;
  for (; count - m >= kTileRows && count - m != 8 && count - m != 7; m += kTileRows)
    gemm_tile<kTileRows, kN, kAdd>(m, n, depth, a, a_step, b, c);
  if (count - m > kTileRows) {  // 8 and 7 are 4 + 4 and 4 + 3: a tile of one or two rows would wait for its own sums
    gemm_tile<4, kN, kAdd>(m, n, depth, a, a_step, b, c);
    m += 4;
  }
  switch (count - m) {
    case 5:
      return gemm_tile<5, kN, kAdd>(m, n, depth, a, a_step, b, c);
    case 4:
      return gemm_tile<4, kN, kAdd>(m, n, depth, a, a_step, b, c);
    case 3:
      return gemm_tile<3, kN, kAdd>(m, n, depth, a, a_step, b, c);
    case 2:
      return gemm_tile<2, kN, kAdd>(m, n, depth, a, a_step, b, c);
    case 1:
      return gemm_tile<1, kN, kAdd>(m, n, depth, a, a_step, b, c);
    default:
      return;
  }
}

// a(m)[k · a_step] is A[m][k]: a_step 1 for a row-major A, its row stride for a transposed one (rows then 1 apart).
template <bool kAdd, class A, class B, class C>
HWY_NOINLINE void gemm(std::int64_t count, std::int64_t columns, std::int64_t depth, const A& a, std::int64_t a_step,
                       const B& b, const C& c) {
  std::int64_t n = 0;
  for (; n + kTileVectors * kLanes <= columns; n += kTileVectors * kLanes)
    gemm_columns<kTileVectors, kAdd>(count, n, depth, a, a_step, b, c);
  if constexpr (kTileVectors == 4) {
    if (n + 2 * kLanes <= columns) {
      gemm_columns<2, kAdd>(count, n, depth, a, a_step, b, c);
      n += 2 * kLanes;
    }
  }
  if (n < columns) gemm_columns<1, kAdd>(count, n, depth, a, a_step, b, c);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
