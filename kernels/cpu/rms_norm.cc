// The fast RMS norm of kernels/api/norm.h on Highway. A row depends on itself alone; grad_weight is summed in chunks of
// rows that the shape fixes.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/api/norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rms_norm.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/two_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

template <class T>
void forward_rows_of(const RmsNormArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = args.x.shape[args.x.rank - 1], together = rows_together(d);
  const float* weight = args.weight.as<const float>();
  float* const inverse = args.inverse.as<float>();
  const Vec one = set(1.0f), share = set(1.0f / static_cast<float>(d)), least = set(args.eps);
  float sums[kRowsRoom];
  for (std::int64_t first = begin; first < end; first += together) {
    const std::int64_t last = std::min(end, first + together);
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = args.x.as<const T>() + row * d;
      Vec squares;
      sum_vectors<1>(d, &squares, [&](auto get, auto, Vec* sum) HWY_ATTR {
        const Vec v = get(x);
        *sum = hn::MulAdd(v, v, *sum);
      });
      sums[row - first] = sum_of(squares);
    }
    // Roots and quotients of all rows at once.
    for_vectors(last - first, [&](std::int64_t, auto get, auto put) HWY_ATTR {
      put(hn::Div(one, hn::Sqrt(hn::MulAdd(get(sums), share, least))), inverse + first);
    });
    std::int64_t row = first;
    for (; row + 2 <= last; row += 2) {
      const T *a = args.x.as<const T>() + row * d, *b = a + d;
      T* y = args.y.as<T>() + row * d;
      const Vec factor_a = set(inverse[row]), factor_b = set(inverse[row + 1]);
      map_two_rows(d, y, y + d, [&](auto get) HWY_ATTR {
        const Vec scale = weight ? get(weight) : one;
        return TwoVecs{hn::Mul(hn::Mul(get(a), factor_a), scale), hn::Mul(hn::Mul(get(b), factor_b), scale)};
      });
    }
    if (row < last) {
      const T* x = args.x.as<const T>() + row * d;
      const Vec factor = set(inverse[row]);
      map_vectors(d, args.y.as<T>() + row * d,
                  [&](auto get) HWY_ATTR { return hn::Mul(hn::Mul(get(x), factor), weight ? get(weight) : one); });
    }
  }
}

// share [d]: grad_weight of these rows, or nullptr.
template <class T>
void backward_rows_of(const RmsNormBackwardArgs& args, std::int64_t begin, std::int64_t end, float* share) {
  const std::int64_t d = args.x.shape[args.x.rank - 1];
  const float* weight = args.weight.as<const float>();
  if (share)
    for (std::int64_t i = 0; i < d; ++i) share[i] = 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = args.x.as<const T>() + row * d;
    const T* grad_y = args.grad_y.as<const T>() + row * d;
    const float inverse = args.inverse.as<const float>()[row];
    const Vec factor = set(inverse);
    Vec dot;
    sum_vectors<1>(d, &dot, [&](auto get, auto put, Vec* sum) HWY_ATTR {
      const Vec product = hn::Mul(get(grad_y), get(x));
      *sum = weight ? hn::MulAdd(product, get(weight), *sum) : hn::Add(*sum, product);
      if (share) put(hn::MulAdd(product, factor, get(share)), share);
    });
    if (!args.grad_x) continue;
    T* grad_x = args.grad_x.as<T>() + row * d;
    const Vec scale = set(sum_of(dot) * inverse * inverse / static_cast<float>(d));
    map_vectors(d, grad_x, [&](auto get) HWY_ATTR {
      const Vec g = weight ? hn::Mul(get(grad_y), get(weight)) : get(grad_y);
      return hn::Mul(factor, hn::NegMulAdd(scale, get(x), g));
    });
  }
}

void forward_rows(const RmsNormArgs& args, std::int64_t begin, std::int64_t end) {
  args.x.dtype == DType::bf16 ? forward_rows_of<BFloat16>(args, begin, end) : forward_rows_of<float>(args, begin, end);
}
void backward_rows(const RmsNormBackwardArgs& args, std::int64_t begin, std::int64_t end, float* share) {
  args.x.dtype == DType::bf16 ? backward_rows_of<BFloat16>(args, begin, end, share)
                              : backward_rows_of<float>(args, begin, end, share);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(forward_rows);
HWY_EXPORT(backward_rows);

void rms_norm(const RmsNormArgs& args) {
  const std::int64_t d = args.x.shape[args.x.rank - 1], rows = d == 0 ? 0 : args.x.numel() / d;
  parallel_blocks(rows, 1 + (1 << 14) / std::max<std::int64_t>(1, d), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_rows)(args, begin, end);
  });
}

void rms_norm_backward(const RmsNormBackwardArgs& args) {
  const std::int64_t d = args.x.shape[args.x.rank - 1], rows = d == 0 ? 0 : args.x.numel() / d;
  const std::int64_t length = std::max<std::int64_t>(64, (rows + 15) / 16), chunks = (rows + length - 1) / length;
  std::vector<float> shares(args.grad_weight ? static_cast<std::size_t>(chunks * d) : 0);
  parallel_tasks(chunks, [&](std::int64_t chunk) {
    HWY_DYNAMIC_DISPATCH(backward_rows)
    (args, chunk * length, std::min(rows, (chunk + 1) * length),
     args.grad_weight ? shares.data() + chunk * d : nullptr);
  });
  if (args.grad_weight) add_rows(shares.data(), chunks, d, args.grad_weight.as<float>());
}

}  // namespace

void add_rms_norm_kernels() {
  add_kernel<RmsNormArgs>(Device::cpu, "simd", rms_norm);
  add_kernel<RmsNormBackwardArgs>(Device::cpu, "simd", rms_norm_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
