// Rows between f32 and bf16 on Highway.
#include "kernels/cpu/convert_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convert_rows.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

template <class X, class Y>
void convert_typed(const RowBlock& from, const RowBlock& to, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const X* x = static_cast<const X*>(from.data) + r * from.stride;
    Y* y = static_cast<Y*>(to.data) + r * to.stride;
    for_vectors(columns, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(in(x), y); });
  }
}

void round_rows(const RowBlock& from, const RowBlock& to, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x = static_cast<const float*>(from.data) + r * from.stride;
    float* y = static_cast<float*>(to.data) + r * to.stride;
    for_vectors(columns, [&](std::int64_t, auto in, auto out) HWY_ATTR {
      BFloat16 rounded[HWY_MAX_BYTES / sizeof(float)];
      store(in(x), rounded);
      out(load(rounded), y);
    });
  }
}

}  // namespace

void convert_block(const RowBlock& from, const RowBlock& to, std::int64_t rows, std::int64_t columns, bool round) {
  const bool from_half = from.dtype == DType::bf16, to_half = to.dtype == DType::bf16;
  if (from_half)
    return to_half ? convert_typed<BFloat16, BFloat16>(from, to, rows, columns)
                   : convert_typed<BFloat16, float>(from, to, rows, columns);
  if (to_half) return convert_typed<float, BFloat16>(from, to, rows, columns);
  round ? round_rows(from, to, rows, columns) : convert_typed<float, float>(from, to, rows, columns);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

HWY_EXPORT(convert_block);

void convert_rows(const RowBlock& from, const RowBlock& to, std::int64_t rows, std::int64_t columns, bool round) {
  HWY_DYNAMIC_DISPATCH(convert_block)(from, to, rows, columns, round);
}

}  // namespace orrery
#endif  // HWY_ONCE
