// Per-target helpers on Highway, included once a target (see hwy/foreach_target.h): loads and stores of f32 and bf16
// with tails, exp, sums. Everything is f32 inside. Include it inside the usual foreach_target frame.
#if defined(ORRERY_KERNELS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ORRERY_KERNELS_CPU_SIMD_INL_H_
#undef ORRERY_KERNELS_CPU_SIMD_INL_H_
#else
#define ORRERY_KERNELS_CPU_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/api/bfloat16.h"
#include "kernels/api/types.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;
using Words = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<std::uint16_t, Floats>;
using Vec = hn::Vec<Floats>;
inline constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));

HWY_INLINE std::int64_t round_up(std::int64_t count, std::int64_t unit) { return (count + unit - 1) / unit * unit; }

HWY_INLINE Vec zero() { return hn::Zero(Floats()); }
HWY_INLINE Vec set(float value) { return hn::Set(Floats(), value); }

HWY_INLINE Vec load(const float* p) { return hn::LoadU(Floats(), p); }
HWY_INLINE Vec load(const BFloat16* p) {
  const auto bits = hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), bits)));
}

HWY_INLINE Vec load(const std::int8_t* p) {
  const hn::Rebind<std::int8_t, Floats> bytes;
  return hn::ConvertTo(Floats(), hn::PromoteTo(Ints(), hn::LoadU(bytes, p)));
}

HWY_INLINE void store(Vec v, float* p) { hn::StoreU(v, Floats(), p); }
// In the upper halves: rounded to nearest even, the same as from_float<BFloat16> but for NaN.
HWY_INLINE hn::Vec<Words> rounded_halves(Vec v) {
  const Words w;
  const auto bits = hn::BitCast(w, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(w, 1u));
  return hn::Add(hn::Add(bits, hn::Set(w, 0x7FFFu)), odd);
}
// NaN stays NaN: the same as from_float<BFloat16>. (Ne(v, v) is false for NaN in Highway.)
HWY_INLINE void store(Vec v, BFloat16* p) {
  const Words w;
  const auto bits = hn::BitCast(w, v);
  const auto rounded = hn::ShiftRight<16>(rounded_halves(v));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(w, 0x40u));
  const auto nan = hn::RebindMask(w, hn::IsNaN(v));
  const auto result = hn::BitCast(Ints(), hn::IfThenElse(nan, quiet, rounded));
  hn::StoreU(hn::DemoteTo(Halves(), result), Halves(), reinterpret_cast<std::uint16_t*>(p));
}

// Two vectors, one behind the other.
HWY_INLINE void store_two(Vec a, Vec b, float* p) {
  store(a, p);
  store(b, p + kLanes);
}
HWY_INLINE void store_two(Vec a, Vec b, BFloat16* p) {
#if HWY_TARGET != HWY_SCALAR
  if (hn::AllFalse(Floats(), hn::IsNaN(hn::Add(a, b)))) {  // of neither, nor of infinities
    const hn::Repartition<std::uint16_t, Words> halves;
    hn::StoreU(hn::ConcatOdd(halves, hn::BitCast(halves, rounded_halves(b)), hn::BitCast(halves, rounded_halves(a))),
               halves, reinterpret_cast<std::uint16_t*>(p));
    return;
  }
#endif
  store(a, p);
  store(b, p + kLanes);
}

// The first `count` < kLanes elements; the others read 0 and are not written.
template <class T>
HWY_INLINE Vec load_part(const T* p, std::int64_t count) {
  T buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(buffer, p, static_cast<std::size_t>(count) * sizeof(T));
  return load(buffer);
}
template <class T>
HWY_INLINE void store_part(Vec v, T* p, std::int64_t count) {
  T buffer[HWY_MAX_BYTES / sizeof(float)];
  store(v, buffer);
  std::memcpy(p, buffer, static_cast<std::size_t>(count) * sizeof(T));
}

// Calls body(i, load, store) over [0, count) in vectors; the last one may be partial.
// load(p) reads p[i ..], store(v, p) writes p[i ..].
template <class Body>
HWY_INLINE void for_vectors(std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    body(
        i, [i](const auto* p) HWY_ATTR { return load(p + i); }, [i](Vec v, auto* p) HWY_ATTR { store(v, p + i); });
  if (i < count)
    body(
        i, [i, count](const auto* p) HWY_ATTR { return load_part(p + i, count - i); },
        [i, count](Vec v, auto* p) HWY_ATTR { store_part(v, p + i, count - i); });
}

// y[i] = body(load) over [0, count) in vectors, load as in for_vectors.
template <class T, class Body>
HWY_INLINE void map_vectors(std::int64_t count, T* y, const Body& body) {
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    const std::int64_t second = i + kLanes;
    store_two(body([i](const auto* p) HWY_ATTR { return load(p + i); }),
              body([second](const auto* p) HWY_ATTR { return load(p + second); }), y + i);
  }
  for (; i + kLanes <= count; i += kLanes) store(body([i](const auto* p) HWY_ATTR { return load(p + i); }), y + i);
  if (i < count)
    store_part(body([i, count](const auto* p) HWY_ATTR { return load_part(p + i, count - i); }), y + i, count - i);
}

// Calls body(load, store, sums) over [0, count), load and store as in for_vectors; what it adds to its `sums` vectors
// comes back in totals. Four times as many run side by side: an addition waits for the one before it.
template <int sums, class Body>
HWY_INLINE void sum_vectors(std::int64_t count, Vec* totals, const Body& body) {
  Vec parts[4][sums];
  for (auto& part : parts)
    for (Vec& sum : part) sum = zero();
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes)
    for (int p = 0; p < 4; ++p) {
      const std::int64_t at = i + p * kLanes;
      body([at](const auto* from) HWY_ATTR { return load(from + at); },
           [at](Vec v, auto* to) HWY_ATTR { store(v, to + at); }, parts[p]);
    }
  for (; i + kLanes <= count; i += kLanes)
    body([i](const auto* from) HWY_ATTR { return load(from + i); }, [i](Vec v, auto* to) HWY_ATTR { store(v, to + i); },
         parts[0]);
  if (i < count)
    body([i, count](const auto* from) HWY_ATTR { return load_part(from + i, count - i); },
         [i, count](Vec v, auto* to) HWY_ATTR { store_part(v, to + i, count - i); }, parts[1]);
  for (int s = 0; s < sums; ++s)
    totals[s] = hn::Add(hn::Add(parts[0][s], parts[1][s]), hn::Add(parts[2][s], parts[3][s]));
}

// Rows of d values that a norm takes together, a step of all of them before the next step: while one row's sum, root
// and quotient are awaited the others go on. They stay in the first cache.
inline constexpr std::int64_t kMostRows = 8;
/// Room for a value a row, and for a vector of any width.
inline constexpr std::int64_t kRowsRoom = std::max<std::int64_t>(kMostRows, HWY_MAX_BYTES / sizeof(float));
HWY_INLINE std::int64_t rows_together(std::int64_t d) {
  return std::clamp<std::int64_t>((16 << 10) / (d * std::int64_t{sizeof(float)} + 1), 1, kMostRows);
}

HWY_INLINE float sum_of(Vec v) { return hn::GetLane(hn::SumOfLanes(Floats(), v)); }
HWY_INLINE float max_of(Vec v) { return hn::GetLane(hn::MaxOfLanes(Floats(), v)); }

// e^x within 2 units in the last place on [−87, 88]; x is clamped to that range, so the result is never 0 or infinite.
HWY_INLINE Vec exp(Vec x) {
  const Floats d;
  x = hn::Min(hn::Max(x, set(-87.0f)), set(88.0f));
  const auto n = hn::NearestInt(hn::Mul(x, set(1.44269504f)));
  const Vec k = hn::ConvertTo(d, n);
  Vec r = hn::NegMulAdd(k, set(0.693359375f), x);
  r = hn::NegMulAdd(k, set(-2.12194440e-4f), r);
  Vec p = set(1.3888889e-3f);
  p = hn::MulAdd(p, r, set(8.3333333e-3f));
  p = hn::MulAdd(p, r, set(4.1666667e-2f));
  p = hn::MulAdd(p, r, set(1.6666667e-1f));
  p = hn::MulAdd(p, r, set(0.5f));
  p = hn::MulAdd(hn::Mul(p, r), r, hn::Add(r, set(1.0f)));
  const auto power = hn::ShiftLeft<23>(hn::Add(n, hn::Set(Ints(), 127)));
  return hn::Mul(p, hn::BitCast(d, power));
}

HWY_INLINE Vec sigmoid(Vec x) { return hn::Div(set(1.0f), hn::Add(set(1.0f), exp(hn::Neg(x)))); }

// Rows of f32 with padding of zeros up to `padded`, times `factor`.
template <class T>
HWY_INLINE void widen_row(const T* from, float* to, std::int64_t count, std::int64_t padded, float factor) {
  const Vec f = set(factor);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(hn::Mul(load(from + i), f), to + i);
  for (; i < padded; ++i) to[i] = i < count ? to_float(from[i]) * factor : 0.0f;
}
template <class T>
HWY_INLINE void narrow_row(const float* from, T* to, std::int64_t count, float factor) {
  const Vec f = set(factor);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(hn::Mul(load(from + i), f), to + i);
  for (; i < count; ++i) to[i] = from_float<T>(from[i] * factor);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
