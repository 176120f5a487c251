// Layer norm on Highway. Sums over rows run in blocks of fixed length that are put together in order.
#include "kernels/api/layer_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/two_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Σ (x − center) and Σ (x − center)² over d values.
template <class T>
HWY_INLINE void sums_around(const T* x, std::int64_t d, float center, float* sum, float* squares) {
  const std::int64_t whole = d - d % kLanes;
  const Vec shift = set(center);
  Vec sums[2];
  sum_vectors<2>(whole, sums, [&](auto in, auto, Vec* totals) HWY_ATTR {
    const Vec v = hn::Sub(in(x), shift);
    totals[0] = hn::Add(totals[0], v);
    totals[1] = hn::MulAdd(v, v, totals[1]);
  });
  *sum = sum_of(sums[0]), *squares = sum_of(sums[1]);
  for (std::int64_t i = whole; i < d; ++i) {
    const float v = to_float(x[i]) - center;
    *sum += v;
    *squares += v * v;
  }
}

// Mean and inverse deviation of `rows` ≤ kMostRows rows in one pass over them, as differences from a row's first value:
// a large mean costs no digits. Where that value lies so far out that most of the squares cancel, a second pass goes
// around the mean. Roots and quotients of all rows are taken at once.
template <class T>
HWY_INLINE void row_statistics(const T* x, std::int64_t rows, std::int64_t d, float eps, float* mean, float* inverse) {
  float centers[kRowsRoom], sums[kRowsRoom], squares[kRowsRoom];
  for (std::int64_t r = 0; r < rows; ++r) {
    centers[r] = to_float(x[r * d]);
    sums_around(x + r * d, d, centers[r], sums + r, squares + r);
  }
  const Vec share = set(1.0f / static_cast<float>(d)), one = set(1.0f), least = set(eps);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float shift = sums[r] * (1.0f / static_cast<float>(d));
    if (sums[r] * shift <= 0.875f * squares[r]) continue;
    centers[r] += shift;
    sums_around(x + r * d, d, centers[r], sums + r, squares + r);
  }
  for_vectors(rows, [&](std::int64_t, auto in, auto out) HWY_ATTR {
    const Vec sum = in(sums), shift = hn::Mul(sum, share);
    const Vec variance = hn::Mul(hn::NegMulAdd(sum, shift, in(squares)), share);
    out(hn::Add(in(centers), shift), mean);
    out(hn::Div(one, hn::Sqrt(hn::Add(variance, least))), inverse);
  });
}

template <class T>
void layer_norm_typed(const LayerNormArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = args.x.shape[1], together = rows_together(d);
  const float *weight = args.weight.as<const float>(), *bias = args.bias.as<const float>();
  float *const mean = args.mean.as<float>(), *const inverse = args.inverse.as<float>();
  const T* const x = args.x.as<const T>();
  T* const y = args.y.as<T>();
  const Vec one = set(1.0f);
  for (std::int64_t first = begin; first < end; first += together) {
    const std::int64_t last = std::min(end, first + together);
    row_statistics(x + first * d, last - first, d, args.eps, mean + first, inverse + first);
    std::int64_t row = first;
    for (; row + 2 <= last; row += 2) {
      const T *a = x + row * d, *b = a + d;
      const Vec center_a = set(mean[row]), factor_a = set(inverse[row]), center_b = set(mean[row + 1]),
                factor_b = set(inverse[row + 1]);
      map_two_rows(d, y + row * d, y + (row + 1) * d, [&](auto in) HWY_ATTR {
        const Vec scale = weight ? in(weight) : one, shift = bias ? in(bias) : zero();
        return TwoVecs{hn::MulAdd(hn::Mul(hn::Sub(in(a), center_a), factor_a), scale, shift),
                       hn::MulAdd(hn::Mul(hn::Sub(in(b), center_b), factor_b), scale, shift)};
      });
    }
    if (row < last) {
      const T* a = x + row * d;
      const Vec center = set(mean[row]), factor = set(inverse[row]);
      map_vectors(d, y + row * d, [&](auto in) HWY_ATTR {
        const Vec normal = hn::Mul(hn::Sub(in(a), center), factor);
        return hn::MulAdd(normal, weight ? in(weight) : one, bias ? in(bias) : zero());
      });
    }
  }
}

// Adds the block's parts of the weight's and the bias's gradients to grad_weight and grad_bias (d floats each).
template <class T>
void layer_norm_backward_typed(const LayerNormBackwardArgs& args, std::int64_t row, float* grad_weight,
                               float* grad_bias) {
  const std::int64_t d = args.x.shape[1];
  const T *x = args.x.as<const T>() + row * d, *grad = args.grad_y.as<const T>() + row * d;
  T* grad_x = args.grad_x.as<T>() + row * d;
  const float mean = args.mean.as<const float>()[row], inverse = args.inverse.as<const float>()[row];
  const float* weight = args.weight.as<const float>();
  const Vec center = set(mean), factor = set(inverse), one = set(1.0f);
  Vec totals[2];
  sum_vectors<2>(d, totals, [&](auto in, auto out, Vec* sums) HWY_ATTR {
    const Vec g = in(grad), normal = hn::Mul(hn::Sub(in(x), center), factor);
    const Vec weighted = hn::Mul(g, weight ? in(weight) : one);
    sums[0] = hn::Add(sums[0], weighted);  // past the end of a row g is 0
    sums[1] = hn::MulAdd(weighted, normal, sums[1]);
    out(hn::MulAdd(g, normal, in(grad_weight)), grad_weight);
    out(hn::Add(g, in(grad_bias)), grad_bias);
  });
  const float count = static_cast<float>(d);
  const Vec mean_sum = set(sum_of(totals[0]) / count), mean_dot = set(sum_of(totals[1]) / count);
  map_vectors(d, grad_x, [&](auto in) HWY_ATTR {
    const Vec normal = hn::Mul(hn::Sub(in(x), center), factor);
    const Vec weighted = hn::Mul(in(grad), weight ? in(weight) : one);
    return hn::Mul(factor, hn::Sub(hn::Sub(weighted, mean_sum), hn::Mul(normal, mean_dot)));
  });
}

}  // namespace

void layer_norm_rows(const LayerNormArgs& args, std::int64_t begin, std::int64_t end) {
  args.x.dtype == DType::bf16 ? layer_norm_typed<BFloat16>(args, begin, end)
                              : layer_norm_typed<float>(args, begin, end);
}
void layer_norm_backward_row(const LayerNormBackwardArgs& args, std::int64_t row, float* grad_weight,
                             float* grad_bias) {
  args.x.dtype == DType::bf16 ? layer_norm_backward_typed<BFloat16>(args, row, grad_weight, grad_bias)
                              : layer_norm_backward_typed<float>(args, row, grad_weight, grad_bias);
}
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(layer_norm_backward_row);

using Index = std::size_t;
constexpr std::int64_t kBlock = 64;  // rows that are summed in f32 before f64 takes over

std::int64_t blocks_of(std::int64_t rows) { return (rows + kBlock - 1) / kBlock; }

void layer_norm(const LayerNormArgs& args) {
  if (args.x.shape[1] == 0) return;
  parallel_blocks(args.x.shape[0], std::max<std::int64_t>(1, 8192 / args.x.shape[1]),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(layer_norm_rows)(args, begin, end);
                  });
}

// out[i] = Σ over blocks of parts[block][i], in order.
void sum_blocks(const std::vector<float>& parts, std::int64_t blocks, std::int64_t stride, std::int64_t offset,
                const TensorView& out) {
  if (!out) return;
  for (std::int64_t i = 0; i < out.shape[0]; ++i) {
    double sum = 0;
    for (std::int64_t block = 0; block < blocks; ++block)
      sum += double{parts[static_cast<Index>(block * stride + offset + i)]};
    out.as<float>()[i] = static_cast<float>(sum);
  }
}

void layer_norm_backward(const LayerNormBackwardArgs& args) {
  const std::int64_t rows = args.x.shape[0], d = args.x.shape[1], blocks = blocks_of(rows);
  std::vector<float> parts(static_cast<Index>(blocks * 2 * d), 0.0f);
  parallel_blocks(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      float* part = parts.data() + block * 2 * d;
      for (std::int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row)
        HWY_DYNAMIC_DISPATCH(layer_norm_backward_row)(args, row, part, part + d);
    }
  });
  sum_blocks(parts, blocks, 2 * d, 0, args.grad_weight);
  sum_blocks(parts, blocks, 2 * d, d, args.grad_bias);
}

}  // namespace

void add_layer_norm_kernels() {
  add_kernel<LayerNormArgs>(Device::cpu, "simd", layer_norm);
  add_kernel<LayerNormBackwardArgs>(Device::cpu, "simd", layer_norm_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
