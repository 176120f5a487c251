// Softmax and cross entropy on Highway: a row is read for its maximum, then exponentiated once into scratch memory.
#include "kernels/api/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

struct Row {
  float max = 0, sum = 0;  ///< of e^(x − max); NaN where the row has one; 0 where all are −∞
};

// e^(x − max) into `out`, and its sum.
template <class T>
Row exponentials(const T* x, std::int64_t count, float* out) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Vec top = set(-kInfinity), odd = zero();
  std::int64_t i = 0;
  const auto see = [&](Vec v) HWY_ATTR {
    top = hn::Max(top, v);
    odd = hn::IfThenElse(hn::IsNaN(v), v, odd);
  };
  for (; i + kLanes <= count; i += kLanes) see(load(x + i));
  float max = max_of(top), nan = sum_of(odd);
  for (; i < count; ++i) {
    const float value = to_float(x[i]);
    max = value > max ? value : max;
    if (value != value) nan = value;
  }
  Row row;
  row.max = max;
  if (nan != nan || max == kInfinity) {
    row.sum = std::numeric_limits<float>::quiet_NaN();
    return row;
  }
  if (max == -kInfinity) return row;
  const Vec shift = set(max);
  Vec sum = zero();
  for (i = 0; i + kLanes <= count; i += kLanes) {
    const Vec e = exp_below_zero(hn::Sub(load(x + i), shift));
    store(e, out + i);
    sum = hn::Add(sum, e);
  }
  if (i < count) {
    const auto tail = hn::FirstN(Floats(), static_cast<std::size_t>(count - i));
    const Vec e = hn::IfThenElseZero(tail, exp_below_zero(hn::Sub(load_part(x + i, count - i), shift)));
    store_part(e, out + i, count - i);
    sum = hn::Add(sum, e);
  }
  row.sum = sum_of(sum);
  return row;
}

template <class T>
void softmax_typed(const T* x, T* y, std::int64_t count, bool log, float* scratch) {
  const Row row = exponentials(x, count, scratch);
  if (row.sum != row.sum || (log && row.sum == 0)) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(std::numeric_limits<float>::quiet_NaN());
    return;
  }
  if (log) {
    const Vec shift = set(row.max), sum = set(std::log(row.sum));
    return for_vectors(count,
                       [&](std::int64_t, auto in, auto out) HWY_ATTR { out(hn::Sub(hn::Sub(in(x), shift), sum), y); });
  }
  if (row.sum == 0) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(0.0f);
    return;
  }
  const Vec factor = set(1.0f / row.sum);
  const float* e = scratch;
  for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(hn::Mul(in(e), factor), y); });
}

template <class T>
void softmax_backward_typed(const T* y, const T* grad_y, T* grad_x, std::int64_t count, bool log) {
  Vec sum = zero();
  for_vectors(count, [&](std::int64_t, auto in, auto)
                         HWY_ATTR { sum = log ? hn::Add(sum, in(grad_y)) : hn::MulAdd(in(grad_y), in(y), sum); });
  const Vec total = set(sum_of(sum));
  if (log)
    for_vectors(count, [&](std::int64_t, auto in, auto out)
                           HWY_ATTR { out(hn::NegMulAdd(exp_anywhere(in(y)), total, in(grad_y)), grad_x); });
  else
    for_vectors(count, [&](std::int64_t, auto in, auto out)
                           HWY_ATTR { out(hn::Mul(in(y), hn::Sub(in(grad_y), total)), grad_x); });
}

template <class T, class G>
float cross_entropy_typed(const T* x, std::int64_t count, std::int64_t target, float weight, G* grad, float* scratch) {
  if (target < 0 && !grad) return 0.0f;
  const Row row = exponentials(x, count, scratch);
  const float loss = target < 0           ? 0.0f
                     : row.sum != row.sum ? row.sum
                                          : std::log(row.sum) - (to_float(x[target]) - row.max);
  if (!grad) return loss;
  const float scale = target < 0 ? 0.0f : weight;
  if (scale == 0.0f || row.sum != row.sum || row.sum == 0) {
    const float value = scale == 0.0f ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    for (std::int64_t i = 0; i < count; ++i) grad[i] = from_float<G>(value);
    return loss;
  }
  const float factor = scale / row.sum;
  const Vec f = set(factor);
  const float* e = scratch;
  const float at_target = e[target] * factor - scale;
  for_vectors(count, [&](std::int64_t, auto in, auto out) HWY_ATTR { out(hn::Mul(in(e), f), grad); });
  grad[target] = from_float<G>(at_target);
  return loss;
}

}  // namespace

void softmax_row(const SoftmaxArgs& args, std::int64_t row, std::int64_t count, float* scratch) {
  if (args.x.dtype == DType::bf16)
    softmax_typed(args.x.as<const BFloat16>() + row * count, args.y.as<BFloat16>() + row * count, count, args.log,
                  scratch);
  else
    softmax_typed(args.x.as<const float>() + row * count, args.y.as<float>() + row * count, count, args.log, scratch);
}

void softmax_backward_row(const SoftmaxBackwardArgs& args, std::int64_t row, std::int64_t count) {
  const std::int64_t at = row * count;
  if (args.y.dtype == DType::bf16)
    softmax_backward_typed(args.y.as<const BFloat16>() + at, args.grad_y.as<const BFloat16>() + at,
                           args.grad_x.as<BFloat16>() + at, count, args.log);
  else
    softmax_backward_typed(args.y.as<const float>() + at, args.grad_y.as<const float>() + at,
                           args.grad_x.as<float>() + at, count, args.log);
}

void cross_entropy_row(const CrossEntropyArgs& args, std::int64_t row, std::int64_t count, float* scratch) {
  const std::int64_t target = args.targets.as<const std::int32_t>()[row], at = row * count;
  const float weight = args.weights ? args.weights.as<const float>()[row] : 1.0f;
  auto* gf = args.grad && args.grad.dtype == DType::f32 ? args.grad.as<float>() + at : nullptr;
  auto* gh = args.grad && args.grad.dtype == DType::bf16 ? args.grad.as<BFloat16>() + at : nullptr;
  float& loss = args.losses.as<float>()[row];
  if (args.logits.dtype == DType::bf16) {
    const auto* x = args.logits.as<const BFloat16>() + at;
    loss = gf ? cross_entropy_typed(x, count, target, weight, gf, scratch)
              : cross_entropy_typed(x, count, target, weight, gh, scratch);
  } else {
    const auto* x = args.logits.as<const float>() + at;
    loss = gh ? cross_entropy_typed(x, count, target, weight, gh, scratch)
              : cross_entropy_typed(x, count, target, weight, gf, scratch);
  }
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(softmax_row);
HWY_EXPORT(softmax_backward_row);
HWY_EXPORT(cross_entropy_row);

bool floating(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

std::int64_t width_of(const TensorView& x) { return x.rank == 0 ? 1 : x.shape[x.rank - 1]; }

// Rows in parallel, each with scratch memory for one.
template <class Body>
void for_rows(const TensorView& x, const Body& body) {
  const std::int64_t width = width_of(x);
  if (width == 0) return;
  parallel_blocks(x.numel() / width, std::max<std::int64_t>(1, 4096 / width),
                  [&](std::int64_t begin, std::int64_t end) {
                    static thread_local Arena arena;
                    arena.reset(width);
                    float* scratch = arena.take(width);
                    for (std::int64_t row = begin; row < end; ++row) body(row, width, scratch);
                  });
}

const char* softmax_supports(const SoftmaxArgs& args) {
  return floating(args.x.dtype) && args.x.dtype == args.y.dtype ? nullptr : "dtypes are not both f32 or both bf16";
}
const char* softmax_backward_supports(const SoftmaxBackwardArgs& args) {
  return floating(args.y.dtype) && args.y.dtype == args.grad_y.dtype && args.y.dtype == args.grad_x.dtype
             ? nullptr
             : "dtypes are not all f32 or all bf16";
}

}  // namespace

void add_softmax_kernels() {
  add_kernel<SoftmaxArgs>(
      Device::cpu, "simd",
      [](const SoftmaxArgs& args) {
        for_rows(args.x, [&](std::int64_t row, std::int64_t width, float* scratch) {
          HWY_DYNAMIC_DISPATCH(softmax_row)(args, row, width, scratch);
        });
      },
      softmax_supports);
  add_kernel<SoftmaxBackwardArgs>(
      Device::cpu, "simd",
      [](const SoftmaxBackwardArgs& args) {
        for_rows(args.y, [&](std::int64_t row, std::int64_t width, float*) {
          HWY_DYNAMIC_DISPATCH(softmax_backward_row)(args, row, width);
        });
      },
      softmax_backward_supports);
  add_kernel<CrossEntropyArgs>(Device::cpu, "simd", [](const CrossEntropyArgs& args) {
    for_rows(args.logits, [&](std::int64_t row, std::int64_t width, float* scratch) {
      HWY_DYNAMIC_DISPATCH(cross_entropy_row)(args, row, width, scratch);
    });
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
