// Vector functions of one f32 argument that keep NaN and reach both ends of the range. Included once a target.
#if defined(ORRERY_KERNELS_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_MATH_INL_H_
#undef ORRERY_KERNELS_CPU_MATH_INL_H_
#else
#define ORRERY_KERNELS_CPU_MATH_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

HWY_INLINE Vec keep_nan(Vec x, Vec result) { return hn::IfThenElse(hn::IsNaN(x), x, result); }

// e^x for x ≤ 0 (and a little above), within 2 units in the last place: 0 below −87. NaN stays.
HWY_INLINE Vec exp_below_zero(Vec x) {
  // Added to 1.5 · 2^23 a number is rounded and leaves its integer in the low bits, here with the exponent's bias.
  const Vec base = set(12582912.0f + 127.0f), biased = hn::MulAdd(x, set(1.44269504f), base), k = hn::Sub(biased, base);
  Vec r = hn::NegMulAdd(k, set(0.693359375f), x);
  r = hn::NegMulAdd(k, set(-2.12194440e-4f), r);
  Vec p = set(1.3814599e-3f);  // minimax: 3·10⁻⁹
  p = hn::MulAdd(p, r, set(8.3687166e-3f));
  p = hn::MulAdd(p, r, set(4.1668389e-2f));
  p = hn::MulAdd(p, r, set(1.6666521e-1f));
  p = hn::MulAdd(p, r, set(4.9999994e-1f));
  p = hn::MulAdd(p, r, set(1.0f));
  p = hn::MulAdd(p, r, set(1.0f));
  const Vec power = hn::BitCast(Floats(), hn::ShiftLeft<23>(hn::BitCast(Ints(), biased)));
  return hn::IfThenZeroElse(hn::Lt(x, set(-87.0f)), hn::Mul(p, power));
}

// e^x over the whole range.
HWY_INLINE Vec exp_anywhere(Vec x) {
  const auto far = hn::Gt(hn::Abs(x), set(87.0f));
  Vec result = exp(x);
  if (!hn::AllFalse(Floats(), far)) {
    const Vec root = hn::IfThenElse(hn::Gt(hn::Abs(x), set(170.0f)),
                                    hn::IfThenElse(hn::Gt(x, zero()), set(1e30f), zero()), exp(hn::Mul(x, set(0.5f))));
    result = hn::IfThenElse(far, hn::Mul(root, root), result);
  }
  return keep_nan(x, result);
}

// 1 / (1 + e^−x): 0 below −87.
HWY_INLINE Vec sigmoid_anywhere(Vec x) { return keep_nan(x, hn::IfThenElseZero(hn::Gt(x, set(-87.0f)), sigmoid(x))); }

// A polynomial near 0, where 1 − 2 / (e^2x + 1) would lose digits (Cephes tanhf).
HWY_INLINE Vec tanh_anywhere(Vec x) {
  const Vec square = hn::Mul(x, x);
  Vec p = set(-5.70498872745e-3f);
  p = hn::MulAdd(p, square, set(2.06390887954e-2f));
  p = hn::MulAdd(p, square, set(-5.37397155531e-2f));
  p = hn::MulAdd(p, square, set(1.33314422036e-1f));
  p = hn::MulAdd(p, square, set(-3.33332819422e-1f));
  p = hn::MulAdd(hn::Mul(p, square), x, x);
  const Vec size = hn::Abs(x);
  const Vec far = hn::Sub(set(1.0f), hn::Div(set(2.0f), hn::Add(exp(hn::Add(size, size)), set(1.0f))));
  return keep_nan(x, hn::IfThenElse(hn::Lt(size, set(0.625f)), p, hn::CopySign(far, x)));
}

inline constexpr float kGeluFactor = 1.5957691216f, kGeluCubic = 0.044715f;  // 2·√(2/π)

// gelu(x) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³)
HWY_INLINE Vec gelu_gate(Vec x) {
  const Vec inner = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), set(kGeluCubic), x);
  return sigmoid_anywhere(hn::Mul(inner, set(kGeluFactor)));
}
HWY_INLINE Vec gelu_slope(Vec x) {
  const Vec gate = gelu_gate(x);
  const Vec inner = hn::Mul(hn::MulAdd(hn::Mul(x, x), set(3 * kGeluCubic), set(1.0f)), set(kGeluFactor));
  return hn::MulAdd(hn::Mul(hn::Mul(x, gate), hn::Sub(set(1.0f), gate)), inner, gate);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
