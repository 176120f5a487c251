// Copies of keys for the fast attention kernels, once a target (see attention_plan.h for the layouts).
#if defined(ORRERY_KERNELS_CPU_ATTENTION_KEYS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_ATTENTION_KEYS_INL_H_
#undef ORRERY_KERNELS_CPU_ATTENTION_KEYS_INL_H_
#else
#define ORRERY_KERNELS_CPU_ATTENTION_KEYS_INL_H_
#endif

#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

// to[i][j] = from[j][i] for j < count, else 0: a panel [padded][kPanel] of `count` rows, `stride` apart.
HWY_INLINE void turn_panel(const float* from, std::int64_t stride, std::int64_t count, std::int64_t padded, float* to) {
#if HWY_TARGET != HWY_SCALAR
  if (count == kPanel) {
    const hn::FixedTag<float, 4> d;
    const hn::Repartition<std::uint64_t, decltype(d)> pairs;
    for (std::int64_t i = 0; i < padded; i += 4)
      for (std::int64_t j = 0; j < kPanel; j += 4) {
        const float* block = from + j * stride + i;
        const auto a = hn::LoadU(d, block), b = hn::LoadU(d, block + stride), c = hn::LoadU(d, block + 2 * stride),
                   e = hn::LoadU(d, block + 3 * stride);
        const auto ab = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
                   ce = hn::BitCast(pairs, hn::InterleaveLower(d, c, e)),
                   ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
                   ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
        float* out = to + i * kPanel + j;
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab, ce)), d, out);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ce)), d, out + kPanel);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ce_high)), d, out + 2 * kPanel);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ce_high)), d, out + 3 * kPanel);
      }
    return;
  }
#endif
  for (std::int64_t i = 0; i < padded; ++i)
    for (std::int64_t j = 0; j < kPanel; ++j) to[i * kPanel + j] = j < count ? from[j * stride + i] : 0.0f;
}

// Rows of `dim` values, `stride` apart, at most kPanel of them, as f32 rows [count][padded] and, if given, as a panel.
template <class T>
HWY_INLINE void copy_panel(const T* from, std::int64_t stride, std::int64_t count, std::int64_t dim,
                           std::int64_t padded, float* to_rows, float* to_panel) {
  for (std::int64_t j = 0; j < count; ++j) widen_row(from + j * stride, to_rows + j * padded, dim, padded, 1.0f);
  if (to_panel) turn_panel(to_rows, padded, count, padded, to_panel);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
