// Two rows at once for the norms, once a target.
#if defined(ORRERY_KERNELS_CPU_TWO_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_TWO_ROWS_INL_H_
#undef ORRERY_KERNELS_CPU_TWO_ROWS_INL_H_
#else
#define ORRERY_KERNELS_CPU_TWO_ROWS_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

// y[i], z[i] = body(load) over [0, count), as map_vectors does one row: what both share is loaded once.
struct TwoVecs {
  Vec first, second;
};
template <class T, class Body>
HWY_INLINE void map_two_rows(std::int64_t count, T* y, T* z, const Body& body) {
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    const std::int64_t next = i + kLanes;
    const TwoVecs a = body([i](const auto*p) HWY_ATTR { return load(p + i); }),
                  b = body([next](const auto*p) HWY_ATTR { return load(p + next); });
    store_two(a.first, b.first, y + i);
    store_two(a.second, b.second, z + i);
  }
  for (; i + kLanes <= count; i += kLanes) {
    const TwoVecs v = body([i](const auto* p) HWY_ATTR { return load(p + i); });
    store(v.first, y + i);
    store(v.second, z + i);
  }
  if (i < count) {
    const TwoVecs v = body([i, count](const auto* p) HWY_ATTR { return load_part(p + i, count - i); });
    store_part(v.first, y + i, count - i);
    store_part(v.second, z + i, count - i);
  }
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
