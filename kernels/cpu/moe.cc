// The fast kernels of kernels/api/moe.h on Highway. Every token is one thread's, sums run in the slots' order.
#include "kernels/api/moe.h"

#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/moe.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

template <class T>
void combine_of(const MoeCombineArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = args.out.shape[1], count = args.inverse.numel() / args.out.shape[0];
  const std::int32_t* inverse = args.inverse.as<const std::int32_t>();
  const float* weights = args.weights.as<const float>();
  for (std::int64_t t = begin; t < end; ++t)
    for_vectors(d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
      Vec sum = zero();
      for (std::int64_t j = t * count; j < (t + 1) * count; ++j) {
        const Vec y = get(args.y.as<const T>() + inverse[j] * d);
        sum = weights ? hn::MulAdd(set(weights[j]), y, sum) : hn::Add(sum, y);
      }
      put(sum, args.out.as<T>() + t * d);
    });
}

template <class T>
void combine_backward_of(const MoeCombineBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = args.grad_out.shape[1], count = args.inverse.numel() / args.grad_out.shape[0];
  const float* weights = args.weights.as<const float>();
  for (std::int64_t j = begin * count; j < end * count; ++j) {
    const std::int64_t row = args.inverse.as<const std::int32_t>()[j] * d;
    const T *grad_out = args.grad_out.as<const T>() + j / count * d, *y = args.y.as<const T>() + row;
    T* grad_y = args.grad_y.as<T>() + row;
    const Vec weight = set(weights ? weights[j] : 1.0f);
    Vec dot = zero();
    for_vectors(d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
      const Vec g = get(grad_out);
      dot = hn::MulAdd(g, get(y), dot);
      put(hn::Mul(weight, g), grad_y);
    });
    if (args.grad_weights) args.grad_weights.as<float>()[j] = sum_of(dot);
  }
}

template <class T>
void swiglu_of(const SwigluArgs& args, std::int64_t begin, std::int64_t end) {
  const bool clamps = args.limit > 0;
  const Vec high = set(args.limit), low = set(-args.limit);
  for (std::int64_t row = begin; row < end; ++row) {
    const T *gates = args.gate.as<const T>() + row * args.gate.strides[0],
            *ups = args.up.as<const T>() + row * args.up.strides[0];
    T* out = args.out.as<T>() + row * args.out.strides[0];
    for_vectors(args.gate.shape[1], [&](std::int64_t, auto get, auto put) HWY_ATTR {
      Vec gate = get(gates), up = get(ups);
      if (clamps) {
        gate = hn::Min(gate, high);
        up = hn::Min(hn::Max(up, low), high);
      }
      put(hn::Mul(hn::Mul(gate, sigmoid(gate)), up), out);
    });
  }
}

template <class T>
void swiglu_backward_of(const SwigluBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  const bool clamps = args.limit > 0;
  const Vec high = set(args.limit), low = set(-args.limit), one = set(1.0f);
  for (std::int64_t row = begin; row < end; ++row) {
    const T *gates = args.gate.as<const T>() + row * args.gate.strides[0],
            *ups = args.up.as<const T>() + row * args.up.strides[0];
    const T* grad_out = args.grad_out.as<const T>() + row * args.grad_out.strides[0];
    T *grad_gates = args.grad_gate.as<T>() + row * args.grad_gate.strides[0],
      *grad_ups = args.grad_up.as<T>() + row * args.grad_up.strides[0];
    for_vectors(args.gate.shape[1], [&](std::int64_t, auto get, auto put) HWY_ATTR {
      const Vec raw_gate = get(gates), raw_up = get(ups), g = get(grad_out);
      const Vec gate = clamps ? hn::Min(raw_gate, high) : raw_gate;
      const Vec up = clamps ? hn::Min(hn::Max(raw_up, low), high) : raw_up;
      const Vec s = sigmoid(gate), silu = hn::Mul(gate, s);
      Vec grad_gate = hn::Mul(hn::Mul(g, up), hn::MulAdd(silu, hn::Sub(one, s), s)), grad_up = hn::Mul(g, silu);
      if (clamps) {
        grad_gate = hn::IfThenElseZero(hn::Le(raw_gate, high), grad_gate);
        grad_up = hn::IfThenElseZero(hn::And(hn::Le(raw_up, high), hn::Ge(raw_up, low)), grad_up);
      }
      put(grad_gate, grad_gates);
      put(grad_up, grad_ups);
    });
  }
}

void combine_rows(const MoeCombineArgs& args, std::int64_t begin, std::int64_t end) {
  args.y.dtype == DType::bf16 ? combine_of<BFloat16>(args, begin, end) : combine_of<float>(args, begin, end);
}
void combine_backward_rows(const MoeCombineBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  args.y.dtype == DType::bf16 ? combine_backward_of<BFloat16>(args, begin, end)
                              : combine_backward_of<float>(args, begin, end);
}
void swiglu_rows(const SwigluArgs& args, std::int64_t begin, std::int64_t end) {
  args.gate.dtype == DType::bf16 ? swiglu_of<BFloat16>(args, begin, end) : swiglu_of<float>(args, begin, end);
}
void swiglu_backward_rows(const SwigluBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  args.gate.dtype == DType::bf16 ? swiglu_backward_of<BFloat16>(args, begin, end)
                                 : swiglu_backward_of<float>(args, begin, end);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(combine_rows);
HWY_EXPORT(combine_backward_rows);
HWY_EXPORT(swiglu_rows);
HWY_EXPORT(swiglu_backward_rows);

std::int64_t grain(std::int64_t width) { return 1 + (1 << 14) / std::max<std::int64_t>(1, width); }

void gather(const MoeGatherArgs& args) {
  const std::int64_t rows = args.y.shape[0];
  if (rows == 0) return;
  const std::int64_t bytes = args.x.shape[1] * size_of(args.x.dtype), count = rows / args.x.shape[0];
  parallel_blocks(rows, grain(bytes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(args.y.as<char>() + i * bytes,
                  args.x.as<const char>() + args.order.as<const std::int32_t>()[i] / count * bytes,
                  static_cast<std::size_t>(bytes));
  });
}

void combine(const MoeCombineArgs& args) {
  parallel_blocks(args.out.shape[0], grain(args.out.shape[1]), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(combine_rows)(args, begin, end);
  });
}

void combine_backward(const MoeCombineBackwardArgs& args) {
  parallel_blocks(args.grad_out.shape[0], grain(args.grad_out.shape[1]), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(combine_backward_rows)(args, begin, end);
  });
}

void swiglu(const SwigluArgs& args) {
  parallel_blocks(args.gate.shape[0], grain(args.gate.shape[1]), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_rows)(args, begin, end);
  });
}

void swiglu_backward(const SwigluBackwardArgs& args) {
  parallel_blocks(args.gate.shape[0], grain(args.gate.shape[1]), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_backward_rows)(args, begin, end);
  });
}

}  // namespace

void add_moe_kernels() {
  add_kernel<MoeGatherArgs>(Device::cpu, "simd", gather);
  add_kernel<MoeCombineArgs>(Device::cpu, "simd", combine);
  add_kernel<MoeCombineBackwardArgs>(Device::cpu, "simd", combine_backward);
  add_kernel<SwigluArgs>(Device::cpu, "simd", swiglu);
  add_kernel<SwigluBackwardArgs>(Device::cpu, "simd", swiglu_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
