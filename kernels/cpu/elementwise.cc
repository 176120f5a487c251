// Fast elementwise ops on Highway: long inner loops over merged dimensions, f32 inside, f32 or bf16 outside.
#include "kernels/api/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loop_nest.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

constexpr std::int64_t kGrain = 1 << 14;  // elements a thread at least

// Runs body(count, offsets) over pieces of the nest, in parallel. Inner loops are cut too when there are few of them.
template <int operands, class Body>
void for_pieces(const LoopNest<operands>& nest, const Body& body) {
  const std::int64_t outer = nest.outer();
  if (outer == 1) {
    parallel_blocks(nest.inner, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::int64_t offsets[operands];
      for (int k = 0; k < operands; ++k) offsets[k] = begin * nest.inner_stride[k];
      body(end - begin, offsets);
    });
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, nest.inner));
  parallel_blocks(outer, grain, [&](std::int64_t begin, std::int64_t end) {
    nest.run(begin, end, [&](const std::int64_t* offsets) { body(nest.inner, offsets); });
  });
}

// tanh(u) = 2σ(2u) − 1
HWY_INLINE Vec tanh_of(Vec x) { return hn::Sub(hn::Mul(set(2.0f), sigmoid(hn::Add(x, x))), set(1.0f)); }

// gelu(x) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³)
HWY_INLINE Vec gelu_gate(Vec x) {
  const Vec cube = hn::Mul(hn::Mul(x, x), x);
  return sigmoid(hn::Mul(set(1.5957691f), hn::MulAdd(set(0.044715f), cube, x)));
}

template <Unary op>
HWY_INLINE Vec value(Vec x, Vec alpha, Vec beta) {
  if constexpr (op == Unary::affine) return hn::MulAdd(alpha, x, beta);
  if constexpr (op == Unary::clamp) return hn::Min(hn::Max(x, alpha), beta);
  if constexpr (op == Unary::abs) return hn::Abs(x);
  if constexpr (op == Unary::square) return hn::Mul(x, x);
  if constexpr (op == Unary::sqrt) return hn::Sqrt(x);
  if constexpr (op == Unary::tanh) return tanh_of(x);
  if constexpr (op == Unary::sigmoid) return sigmoid(x);
  if constexpr (op == Unary::relu) return hn::Max(x, zero());
  if constexpr (op == Unary::silu) return hn::Mul(x, sigmoid(x));
  if constexpr (op == Unary::gelu) return hn::Mul(x, gelu_gate(x));
  return x;
}

template <Unary op>
HWY_INLINE Vec slope(Vec x, Vec alpha, Vec beta) {
  const Vec one = set(1.0f);
  if constexpr (op == Unary::affine) return alpha;
  if constexpr (op == Unary::clamp) return hn::IfThenElseZero(hn::And(hn::Ge(x, alpha), hn::Le(x, beta)), one);
  if constexpr (op == Unary::abs)
    return hn::IfThenElse(hn::Gt(x, zero()), one, hn::IfThenElseZero(hn::Lt(x, zero()), set(-1.0f)));
  if constexpr (op == Unary::square) return hn::Add(x, x);
  if constexpr (op == Unary::sqrt) return hn::Div(set(0.5f), hn::Sqrt(x));
  if constexpr (op == Unary::tanh) {
    const Vec t = tanh_of(x);
    return hn::NegMulAdd(t, t, one);
  }
  if constexpr (op == Unary::sigmoid) {
    const Vec s = sigmoid(x);
    return hn::Mul(s, hn::Sub(one, s));
  }
  if constexpr (op == Unary::relu) return hn::IfThenElseZero(hn::Gt(x, zero()), one);
  if constexpr (op == Unary::silu) {
    const Vec s = sigmoid(x);
    return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
  }
  if constexpr (op == Unary::gelu) {
    const Vec s = gelu_gate(x);
    const Vec du = hn::Mul(set(1.5957691f), hn::MulAdd(set(3 * 0.044715f), hn::Mul(x, x), one));
    return hn::MulAdd(hn::Mul(x, du), hn::Mul(s, hn::Sub(one, s)), s);
  }
  return one;
}

template <Unary op, class T>
void unary_loop(const UnaryArgs& args) {
  const TensorView* const views[] = {&args.y, &args.x};
  const T* x = args.x.as<const T>();
  T* y = args.y.as<T>();
  for_pieces(LoopNest<2>(views), [=, &args](std::int64_t count, const std::int64_t* offsets) HWY_ATTR {
    const Vec alpha = set(args.alpha), beta = set(args.beta);
    const T* from = x + offsets[1];
    T* to = y + offsets[0];
    for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(value<op>(read(from), alpha, beta), to); });
  });
}

template <Unary op, class T>
void unary_backward_loop(const UnaryBackwardArgs& args) {
  const TensorView* const views[] = {&args.grad_x, &args.x, &args.grad_y};
  const T *x = args.x.as<const T>(), *grad_y = args.grad_y.as<const T>();
  T* grad_x = args.grad_x.as<T>();
  for_pieces(LoopNest<3>(views), [=, &args](std::int64_t count, const std::int64_t* offsets) HWY_ATTR {
    const Vec alpha = set(args.alpha), beta = set(args.beta);
    const T *at = x + offsets[1], *grad = grad_y + offsets[2];
    T* to = grad_x + offsets[0];
    for_vectors(count, [&](std::int64_t, auto read, auto write)
                           HWY_ATTR { write(hn::Mul(read(grad), slope<op>(read(at), alpha, beta)), to); });
  });
}

template <template <Unary> class Run, class Args>
void dispatch_unary(const Args& args) {
  switch (args.op) {
    case Unary::affine: return Run<Unary::affine>()(args);
    case Unary::clamp: return Run<Unary::clamp>()(args);
    case Unary::abs: return Run<Unary::abs>()(args);
    case Unary::square: return Run<Unary::square>()(args);
    case Unary::sqrt: return Run<Unary::sqrt>()(args);
    case Unary::tanh: return Run<Unary::tanh>()(args);
    case Unary::sigmoid: return Run<Unary::sigmoid>()(args);
    case Unary::relu: return Run<Unary::relu>()(args);
    case Unary::silu: return Run<Unary::silu>()(args);
    case Unary::gelu: return Run<Unary::gelu>()(args);
    default: return;  // refused by the entry's `supports`
  }
}

template <Unary op>
struct Forward {
  void operator()(const UnaryArgs& args) const {
    args.y.dtype == DType::bf16 ? unary_loop<op, BFloat16>(args) : unary_loop<op, float>(args);
  }
};
template <Unary op>
struct Backward {
  void operator()(const UnaryBackwardArgs& args) const {
    args.grad_x.dtype == DType::bf16 ? unary_backward_loop<op, BFloat16>(args) : unary_backward_loop<op, float>(args);
  }
};

template <Binary op>
HWY_INLINE Vec combine(Vec a, Vec b) {
  if constexpr (op == Binary::add) return hn::Add(a, b);
  if constexpr (op == Binary::sub) return hn::Sub(a, b);
  if constexpr (op == Binary::mul) return hn::Mul(a, b);
  if constexpr (op == Binary::div) return hn::Div(a, b);
  if constexpr (op == Binary::max) return hn::IfThenElse(hn::Lt(a, b), b, a);
  return hn::IfThenElse(hn::Lt(b, a), b, a);
}

template <Binary op, class A, class B, class Y>
void binary_loop(const BinaryArgs& args) {
  const TensorView* const views[] = {&args.y, &args.a, &args.b};
  const LoopNest<3> nest(views);
  const A* a = args.a.as<const A>();
  const B* b = args.b.as<const B>();
  Y* y = args.y.as<Y>();
  const bool fixed_a = nest.inner_stride[1] == 0 && nest.inner > 1, fixed_b = nest.inner_stride[2] == 0 && nest.inner > 1;
  for_pieces(nest, [=](std::int64_t count, const std::int64_t* offsets) HWY_ATTR {
    const A* left = a + offsets[1];
    const B* right = b + offsets[2];
    Y* to = y + offsets[0];
    const Vec one_a = set(to_float(*left)), one_b = set(to_float(*right));
    if (fixed_a) {
      for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(combine<op>(one_a, read(right)), to); });
    } else if (fixed_b) {
      for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(combine<op>(read(left), one_b), to); });
    } else {
      for_vectors(count, [&](std::int64_t, auto read, auto write) HWY_ATTR { write(combine<op>(read(left), read(right)), to); });
    }
  });
}

template <Binary op>
void binary_dtypes(const BinaryArgs& args) {
  const bool a16 = args.a.dtype == DType::bf16, b16 = args.b.dtype == DType::bf16;
  if (args.y.dtype == DType::bf16) return binary_loop<op, BFloat16, BFloat16, BFloat16>(args);
  if (a16) return binary_loop<op, BFloat16, float, float>(args);
  if (b16) return binary_loop<op, float, BFloat16, float>(args);
  binary_loop<op, float, float, float>(args);
}

void binary(const BinaryArgs& args) {
  switch (args.op) {
    case Binary::add: return binary_dtypes<Binary::add>(args);
    case Binary::sub: return binary_dtypes<Binary::sub>(args);
    case Binary::mul: return binary_dtypes<Binary::mul>(args);
    case Binary::div: return binary_dtypes<Binary::div>(args);
    case Binary::max: return binary_dtypes<Binary::max>(args);
    case Binary::min: return binary_dtypes<Binary::min>(args);
    default: return;  // refused by the entry's `supports`
  }
}

void unary(const UnaryArgs& args) { dispatch_unary<Forward>(args); }
void unary_backward(const UnaryBackwardArgs& args) { dispatch_unary<Backward>(args); }

}  // namespace

void run_unary(const UnaryArgs& args) { unary(args); }
void run_unary_backward(const UnaryBackwardArgs& args) { unary_backward(args); }
void run_binary(const BinaryArgs& args) { binary(args); }

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(run_unary);
HWY_EXPORT(run_unary_backward);
HWY_EXPORT(run_binary);

bool floating(const TensorView& view) { return view.dtype == DType::f32 || view.dtype == DType::bf16; }

const char* supports_op(Unary op) {
  switch (op) {
    case Unary::rsqrt:
    case Unary::reciprocal:
    case Unary::exp:
    case Unary::log:
    case Unary::sin:
    case Unary::cos:
    case Unary::softplus:
      return "no fast form of this function";
    default:
      return nullptr;
  }
}

template <int operands>
const char* supports_layout(const TensorView* const (&views)[operands], bool broadcast) {
  const LoopNest<operands> nest(views);
  if (nest.inner == 1) return nullptr;
  for (int k = 0; k < operands; ++k) {
    const bool fine = nest.inner_stride[k] == 1 || (broadcast && k > 0 && nest.inner_stride[k] == 0);
    if (!fine) return "the innermost dimension is strided";
  }
  return nullptr;
}

const char* supports_unary(const UnaryArgs& args) {
  if (!floating(args.x) || args.x.dtype != args.y.dtype) return "wants one floating dtype";
  if (const char* reason = supports_op(args.op)) return reason;
  const TensorView* const views[] = {&args.y, &args.x};
  return supports_layout(views, false);
}

const char* supports_unary_backward(const UnaryBackwardArgs& args) {
  if (!floating(args.x) || args.x.dtype != args.grad_x.dtype || args.grad_y.dtype != args.grad_x.dtype) return "wants one floating dtype";
  if (const char* reason = supports_op(args.op)) return reason;
  const TensorView* const views[] = {&args.grad_x, &args.x, &args.grad_y};
  return supports_layout(views, false);
}

const char* supports_binary(const BinaryArgs& args) {
  if (args.op == Binary::equal || args.op == Binary::less) return "comparisons are rare";
  if (!floating(args.a) || !floating(args.b) || !floating(args.y)) return "wants floating dtypes";
  const bool both16 = args.a.dtype == DType::bf16 && args.b.dtype == DType::bf16;
  if (both16 != (args.y.dtype == DType::bf16)) return "wants bf16 out of two bf16, else f32";
  const TensorView* const views[] = {&args.y, &args.a, &args.b};
  return supports_layout(views, true);
}

}  // namespace

void add_elementwise_kernels() {
  add_kernel<UnaryArgs>(Device::cpu, "highway", [](const UnaryArgs& args) { HWY_DYNAMIC_DISPATCH(run_unary)(args); }, supports_unary);
  add_kernel<UnaryBackwardArgs>(
      Device::cpu, "highway", [](const UnaryBackwardArgs& args) { HWY_DYNAMIC_DISPATCH(run_unary_backward)(args); },
      supports_unary_backward);
  add_kernel<BinaryArgs>(Device::cpu, "highway", [](const BinaryArgs& args) { HWY_DYNAMIC_DISPATCH(run_binary)(args); }, supports_binary);
}

}  // namespace orrery
#endif  // HWY_ONCE
