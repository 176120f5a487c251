// RMS norm: a warp a row; the weight's gradient in parts of rows that are then summed.
#include <cmath>

#include "kernels/api/norm.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

template <class T>
struct RmsNorm {
  const T* x;
  const float* weight;
  T* y;
  float* inverse;
  std::int64_t d;
  float eps;
  ORRERY_ON_DEVICE void operator()(std::int64_t row, int lane, unsigned char*) const {
    float squares = 0;
    for (std::int64_t i = row * d + lane; i < (row + 1) * d; i += kWarp) squares += to_float(x[i]) * to_float(x[i]);
    const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(d) + eps);
    if (lane == 0) inverse[row] = scale;
    for (std::int64_t i = lane; i < d; i += kWarp)
      y[row * d + i] = from_float<T>(to_float(x[row * d + i]) * scale * (weight ? weight[i] : 1.0f));
  }
};

template <class T>
struct RmsNormBackward {
  const T* x;
  const float *weight, *inverse;
  const T* grad_y;
  T* grad_x;
  std::int64_t d;
  ORRERY_ON_DEVICE void operator()(std::int64_t row, int lane, unsigned char*) const {
    float dot = 0;
    for (std::int64_t i = lane; i < d; i += kWarp)
      dot += to_float(grad_y[row * d + i]) * (weight ? weight[i] : 1.0f) * to_float(x[row * d + i]);
    const float scale = inverse[row], along = warp_sum(dot) * scale * scale / static_cast<float>(d);
    for (std::int64_t i = lane; i < d; i += kWarp) {
      const float g = to_float(grad_y[row * d + i]) * (weight ? weight[i] : 1.0f);
      grad_x[row * d + i] = from_float<T>(scale * (g - along * to_float(x[row * d + i])));
    }
  }
};

// partial[part, c] = Σ over the part's rows of grad_y · x · inverse.
template <class T>
struct WeightParts {
  const T* x;
  const float* inverse;
  const T* grad_y;
  float* partial;
  std::int64_t rows, d, parts;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [part, c] = divided(i, d);
    float sum = 0;
    for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row)
      sum += to_float(grad_y[row * d + c]) * to_float(x[row * d + c]) * inverse[row];
    partial[i] = sum;
  }
};

void forward(const RmsNormArgs& args) {
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_rows(RmsNormArgs::kOp, row_count(args.x), 0,
                RmsNorm<T>{args.x.as<const T>(), args.weight.as<const float>(), args.y.as<T>(),
                           args.inverse.as<float>(), row_length(args.x), args.eps});
  });
}

void backward(const RmsNormBackwardArgs& args) {
  const std::int64_t rows = row_count(args.x), d = row_length(args.x), parts = row_parts(rows);
  with_float_type(args.x.dtype, [&]<class T>() {
    const auto *x = args.x.as<const T>(), *grad_y = args.grad_y.as<const T>();
    const auto* inverse = args.inverse.as<const float>();
    if (args.grad_x)
      launch_rows(RmsNormBackwardArgs::kOp, rows, 0,
                  RmsNormBackward<T>{x, args.weight.as<const float>(), inverse, grad_y, args.grad_x.as<T>(), d});
    if (!args.grad_weight) return;
    auto* partial = static_cast<float*>(scratch(kScratchPartial, parts * d * std::int64_t{sizeof(float)}));
    launch_each(RmsNormBackwardArgs::kOp, parts * d, WeightParts<T>{x, inverse, grad_y, partial, rows, d, parts});
    sum_columns(RmsNormBackwardArgs::kOp, partial, parts, d, d, args.grad_weight.as<float>());
  });
}

}  // namespace

void add_rms_norm_kernels() {
  add_kernel<RmsNormArgs>(Device::cuda, "warps", forward);
  add_kernel<RmsNormBackwardArgs>(Device::cuda, "warps", backward);
}

}  // namespace orrery::gpu
