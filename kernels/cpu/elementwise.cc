// Elementwise ops on Highway, in f32. Inner runs are contiguous (or, of a binary operand, one repeated value).
#include "kernels/api/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/elementwise_math.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

template <class T, class F>
HWY_INLINE void map1(const T* x, T* y, std::int64_t count, const F& f) {
  for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(f(in(x)), y); });
}

template <class T>
void unary_typed(const T* x, T* y, std::int64_t n, Unary op, float alpha, float beta) {
  const Vec a = set(alpha), b = set(beta), one = set(1.0f);
  switch (op) {
    case Unary::affine:
      return map1(x, y, n, [=](Vec v) HWY_ATTR { return hn::MulAdd(a, v, b); });
    case Unary::clamp:
      return map1(x, y, n,
                  [=](Vec v) HWY_ATTR { return hn::IfThenElse(hn::Lt(v, a), a, hn::IfThenElse(hn::Gt(v, b), b, v)); });
    case Unary::abs:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::Abs(v); });
    case Unary::square:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::Mul(v, v); });
    case Unary::sqrt:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::Sqrt(v); });
    case Unary::rsqrt:
      return map1(x, y, n, [=](Vec v) HWY_ATTR { return hn::Div(one, hn::Sqrt(v)); });
    case Unary::reciprocal:
      return map1(x, y, n, [=](Vec v) HWY_ATTR { return hn::Div(one, v); });
    case Unary::exp:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return exp_anywhere(v); });
    case Unary::tanh:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return tanh_anywhere(v); });
    case Unary::sigmoid:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return sigmoid_anywhere(v); });
    case Unary::relu:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(v, zero()), v); });
    case Unary::silu:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::Mul(v, sigmoid_anywhere(v)); });
    case Unary::gelu:
      return map1(x, y, n, [](Vec v) HWY_ATTR { return hn::Mul(v, gelu_gate(v)); });
    default:
      for (std::int64_t i = 0; i < n; ++i)
        y[i] = from_float<T>(static_cast<float>(unary_value(op, double{to_float(x[i])}, double{alpha}, double{beta})));
  }
}

template <class T, class F>
HWY_INLINE void map_slope(const T* x, const T* grad, T* out, std::int64_t count, const F& slope) {
  for_vectors(count, [&](std::int64_t, auto in, auto to) HWY_ATTR { to(hn::Mul(in(grad), slope(in(x))), out); });
}

template <class T>
void unary_backward_typed(const T* x, const T* g, T* y, std::int64_t n, Unary op, float alpha, float beta) {
  const Vec a = set(alpha), b = set(beta), one = set(1.0f), half = set(0.5f);
  switch (op) {
    case Unary::affine:
      return map_slope(x, g, y, n, [=](Vec) HWY_ATTR { return a; });
    case Unary::clamp:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR {
        return hn::IfThenElseZero(hn::Ge(v, a), hn::IfThenElseZero(hn::Le(v, b), one));
      });
    case Unary::abs:
      return map_slope(x, g, y, n,
                       [=](Vec v) HWY_ATTR { return hn::IfThenZeroElse(hn::Eq(v, zero()), hn::CopySign(one, v)); });
    case Unary::square:
      return map_slope(x, g, y, n, [](Vec v) HWY_ATTR { return hn::Add(v, v); });
    case Unary::sqrt:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR { return hn::Div(half, hn::Sqrt(v)); });
    case Unary::rsqrt:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR { return hn::Neg(hn::Div(half, hn::Mul(v, hn::Sqrt(v)))); });
    case Unary::reciprocal:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR { return hn::Neg(hn::Div(one, hn::Mul(v, v))); });
    case Unary::exp:
      return map_slope(x, g, y, n, [](Vec v) HWY_ATTR { return exp_anywhere(v); });
    case Unary::tanh:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR {
        const Vec t = tanh_anywhere(v);
        return hn::NegMulAdd(t, t, one);
      });
    case Unary::sigmoid:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR {
        const Vec s = sigmoid_anywhere(v);
        return hn::Mul(s, hn::Sub(one, s));
      });
    case Unary::softplus:
      return map_slope(x, g, y, n, [](Vec v) HWY_ATTR { return sigmoid_anywhere(v); });
    case Unary::relu:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(v, zero()), one); });
    case Unary::silu:
      return map_slope(x, g, y, n, [=](Vec v) HWY_ATTR {
        const Vec s = sigmoid_anywhere(v);
        return hn::Mul(s, hn::MulAdd(v, hn::Sub(one, s), one));
      });
    case Unary::gelu:
      return map_slope(x, g, y, n, [](Vec v) HWY_ATTR { return gelu_slope(v); });
    default:
      for (std::int64_t i = 0; i < n; ++i)
        y[i] = from_float<T>(static_cast<float>(
            double{to_float(g[i])} * unary_derivative(op, double{to_float(x[i])}, double{alpha}, double{beta})));
  }
}

// A stride of 0 repeats the operand's one value.
template <class A, class B, class Y, class F>
HWY_INLINE void map2(const A* a, bool a_repeats, const B* b, bool b_repeats, Y* y, std::int64_t count, const F& f) {
  if (a_repeats && b_repeats) {
    const Vec value = f(set(to_float(*a)), set(to_float(*b)));
    for_vectors(count, [&](std::int64_t, auto, auto out) HWY_ATTR { out(value, y); });
  } else if (a_repeats) {
    const Vec left = set(to_float(*a));
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(f(left, in(b)), y); });
  } else if (b_repeats) {
    const Vec right = set(to_float(*b));
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(f(in(a), right), y); });
  } else {
    for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(f(in(a), in(b)), y); });
  }
}

template <class A, class B, class Y>
void binary_typed(const A* a, bool ar, const B* b, bool br, Y* y, std::int64_t n, Binary op) {
  const Vec one = set(1.0f);
  switch (op) {
    case Binary::add:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::Add(l, r); });
    case Binary::sub:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::Sub(l, r); });
    case Binary::mul:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::Mul(l, r); });
    case Binary::div:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::Div(l, r); });
    case Binary::max:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::IfThenElse(hn::Gt(l, r), l, r); });
    case Binary::min:
      return map2(a, ar, b, br, y, n, [](Vec l, Vec r) HWY_ATTR { return hn::IfThenElse(hn::Lt(l, r), l, r); });
    case Binary::equal:
      return map2(a, ar, b, br, y, n, [=](Vec l, Vec r) HWY_ATTR { return hn::IfThenElseZero(hn::Eq(l, r), one); });
    case Binary::less:
      return map2(a, ar, b, br, y, n, [=](Vec l, Vec r) HWY_ATTR { return hn::IfThenElseZero(hn::Lt(l, r), one); });
  }
}

}  // namespace

void unary_run(const UnaryArgs& args, std::int64_t x, std::int64_t y, std::int64_t count) {
  if (args.y.dtype == DType::bf16)
    unary_typed(args.x.as<const BFloat16>() + x, args.y.as<BFloat16>() + y, count, args.op, args.alpha, args.beta);
  else
    unary_typed(args.x.as<const float>() + x, args.y.as<float>() + y, count, args.op, args.alpha, args.beta);
}

void unary_backward_run(const UnaryBackwardArgs& args, std::int64_t x, std::int64_t grad, std::int64_t out,
                        std::int64_t count) {
  if (args.x.dtype == DType::bf16)
    unary_backward_typed(args.x.as<const BFloat16>() + x, args.grad_y.as<const BFloat16>() + grad,
                         args.grad_x.as<BFloat16>() + out, count, args.op, args.alpha, args.beta);
  else
    unary_backward_typed(args.x.as<const float>() + x, args.grad_y.as<const float>() + grad,
                         args.grad_x.as<float>() + out, count, args.op, args.alpha, args.beta);
}

void binary_run(const BinaryArgs& args, std::int64_t a, bool ar, std::int64_t b, bool br, std::int64_t y,
                std::int64_t n) {
  const bool left = args.a.dtype == DType::bf16, right = args.b.dtype == DType::bf16;
  const auto* af = args.a.as<const float>() + (left ? 0 : a);
  const auto* bf = args.b.as<const float>() + (right ? 0 : b);
  const auto* ah = args.a.as<const BFloat16>() + a;
  const auto* bh = args.b.as<const BFloat16>() + b;
  if (left && right) return binary_typed(ah, ar, bh, br, args.y.as<BFloat16>() + y, n, args.op);
  auto* out = args.y.as<float>() + y;
  if (left) return binary_typed(ah, ar, bf, br, out, n, args.op);
  if (right) return binary_typed(af, ar, bh, br, out, n, args.op);
  binary_typed(af, ar, bf, br, out, n, args.op);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(unary_run);
HWY_EXPORT(unary_backward_run);
HWY_EXPORT(binary_run);

bool floating(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

const char* unary_supports(const UnaryArgs& args) {
  if (!floating(args.x.dtype) || args.x.dtype != args.y.dtype) return "dtypes are not both f32 or both bf16";
  const auto loops = make_loops<2>({&args.y, &args.x});
  return loops.inner() == 1 || loops.inner_stride(1) == 1 ? nullptr : "the last dimension is not contiguous";
}

void unary(const UnaryArgs& args) {
  for_each_run(make_loops<2>({&args.y, &args.x}), [&](const auto& at, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(unary_run)(args, at[1], at[0], count);
  });
}

const char* unary_backward_supports(const UnaryBackwardArgs& args) {
  if (!floating(args.x.dtype) || args.x.dtype != args.grad_x.dtype || args.x.dtype != args.grad_y.dtype)
    return "dtypes are not all f32 or all bf16";
  const auto loops = make_loops<3>({&args.grad_x, &args.x, &args.grad_y});
  return loops.inner() == 1 || (loops.inner_stride(1) == 1 && loops.inner_stride(2) == 1)
             ? nullptr
             : "the last dimension is not contiguous";
}

void unary_backward(const UnaryBackwardArgs& args) {
  for_each_run(make_loops<3>({&args.grad_x, &args.x, &args.grad_y}), [&](const auto& at, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(unary_backward_run)(args, at[1], at[2], at[0], count);
  });
}

const char* binary_supports(const BinaryArgs& args) {
  if (!floating(args.a.dtype) || !floating(args.b.dtype)) return "dtypes are neither f32 nor bf16";
  const bool both = args.a.dtype == DType::bf16 && args.b.dtype == DType::bf16;
  if (args.y.dtype != (both ? DType::bf16 : DType::f32)) return "output dtype is not the wider operand's";
  const auto loops = make_loops<3>({&args.y, &args.a, &args.b});
  const bool runs = loops.inner_stride(1) <= 1 && loops.inner_stride(2) <= 1 && loops.inner_stride(1) >= 0 &&
                    loops.inner_stride(2) >= 0;
  return loops.inner() == 1 || runs ? nullptr : "the last dimension is not contiguous";
}

void binary(const BinaryArgs& args) {
  const auto loops = make_loops<3>({&args.y, &args.a, &args.b});
  const bool left = loops.inner_stride(1) == 0, right = loops.inner_stride(2) == 0;
  for_each_run(loops, [&](const auto& at, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(binary_run)(args, at[1], left, at[2], right, at[0], count);
  });
}

}  // namespace

void add_elementwise_kernels() {
  add_kernel<UnaryArgs>(Device::cpu, "simd", unary, unary_supports);
  add_kernel<UnaryBackwardArgs>(Device::cpu, "simd", unary_backward, unary_backward_supports);
  add_kernel<BinaryArgs>(Device::cpu, "simd", binary, binary_supports);
}

}  // namespace orrery
#endif  // HWY_ONCE
