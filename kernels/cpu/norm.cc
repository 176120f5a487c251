// RMS norm on the CPU. Layouts in kernels/api/norm.h.
#include "kernels/api/norm.h"

#include <cmath>
#include <vector>

#include "kernels/api/bfloat16.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"

namespace orrery {

namespace {

// The plain-loop reference: f32 or bf16 in and out, f64 sums.
template <class T>
void rms_norm_reference(const RmsNormArgs& args) {
  const std::int64_t d = args.x.shape[args.x.rank - 1];
  const std::int64_t rows = d == 0 ? 0 : args.x.numel() / d;
  const float* weight = args.weight.as<const float>();
  for (std::int64_t row = 0; row < rows; ++row) {
    const T* x = args.x.as<const T>() + row * d;
    T* y = args.y.as<T>() + row * d;
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i) sum += double{to_float(x[i])} * double{to_float(x[i])};
    const float inverse = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(d) + double{args.eps}));
    args.inverse.as<float>()[row] = inverse;
    for (std::int64_t i = 0; i < d; ++i) y[i] = from_float<T>(to_float(x[i]) * inverse * (weight ? weight[i] : 1.0f));
  }
}

template <class T>
void rms_norm_backward_reference(const RmsNormBackwardArgs& args) {
  const std::int64_t d = args.x.shape[args.x.rank - 1];
  const std::int64_t rows = d == 0 ? 0 : args.x.numel() / d;
  const float* weight = args.weight.as<const float>();
  std::vector<double> grad_weight(static_cast<std::size_t>(d), 0.0);
  for (std::int64_t row = 0; row < rows; ++row) {
    const T* x = args.x.as<const T>() + row * d;
    const T* grad_y = args.grad_y.as<const T>() + row * d;
    const double inverse = args.inverse.as<const float>()[row];
    double dot = 0;
    for (std::int64_t i = 0; i < d; ++i) {
      const double g = double{to_float(grad_y[i])} * (weight ? weight[i] : 1.0f);
      dot += g * to_float(x[i]);
      grad_weight[static_cast<std::size_t>(i)] += double{to_float(grad_y[i])} * to_float(x[i]) * inverse;
    }
    if (!args.grad_x) continue;
    T* grad_x = args.grad_x.as<T>() + row * d;
    const double scale = dot * inverse * inverse / static_cast<double>(d);
    for (std::int64_t i = 0; i < d; ++i) {
      const double g = double{to_float(grad_y[i])} * (weight ? weight[i] : 1.0f);
      grad_x[i] = from_float<T>(static_cast<float>(inverse * (g - scale * to_float(x[i]))));
    }
  }
  if (args.grad_weight)
    for (std::int64_t i = 0; i < d; ++i)
      args.grad_weight.as<float>()[i] = static_cast<float>(grad_weight[static_cast<std::size_t>(i)]);
}

}  // namespace

void add_norm_kernels() {
  add_kernel<RmsNormArgs>(Device::cpu, "reference", [](const RmsNormArgs& args) {
    args.x.dtype == DType::bf16 ? rms_norm_reference<BFloat16>(args) : rms_norm_reference<float>(args);
  });
  add_kernel<RmsNormBackwardArgs>(Device::cpu, "reference", [](const RmsNormBackwardArgs& args) {
    args.x.dtype == DType::bf16 ? rms_norm_backward_reference<BFloat16>(args)
                                : rms_norm_backward_reference<float>(args);
  });
}

}  // namespace orrery
