// Gradients against finite differences in f32, with the bound computed from the case itself.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/tensor/tensor.h"
#include "tests/support/catch.h"

namespace orrery::test {

/// One output or more of an op as a function of its inputs.
using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

/// Checks d/dx Σ seed·f(x) for every f32 element of `inputs` (`stride` > 1: every stride-th). The numerical derivative
/// is Richardson's (4·D(h) − D(2h)) / 3 of central differences. Its error is at most the rounding of the stored f32
/// outputs, u·Σ|seed·f| · (4/3 / h + 1/3 / 2h), u = 2^-22 for two roundings and an f32 kernel's own sums, plus what is
/// left of the truncation: D(2h) − D(h) measures its h² term, of which Richardson leaves the h⁴ part, taken as a tenth.
inline void check_gradients(const Function& f, std::vector<Tensor> inputs, int stride = 1, double h = 1.0 / 64) {
  Random random(77);
  std::vector<Tensor> seeds;
  const auto loss = [&](double* magnitude) {
    const NoGrad guard;
    double sum = 0, size = 0;
    const std::vector<Tensor> outputs = f(inputs);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto values = outputs[o].to_vector(), seed = seeds[o].to_vector();
      for (std::size_t i = 0; i < values.size(); ++i) {
        sum += double{values[i]} * double{seed[i]};
        size += std::abs(double{values[i]} * double{seed[i]});
      }
    }
    if (magnitude) *magnitude = size;
    return sum;
  };
  for (Tensor& input : inputs)
    if (input.defined() && input.dtype() == DType::f32) input.set_requires_grad(true);
  const std::vector<Tensor> outputs = f(inputs);
  for (const Tensor& output : outputs) seeds.push_back(Tensor::randn(output.shape(), random));
  for (std::size_t o = 0; o < outputs.size(); ++o) backward(outputs[o], seeds[o], /*keep=*/true);
  double magnitude = 0;
  loss(&magnitude);
  const double rounding = std::ldexp(magnitude, -22) * (4.0 / 3 / h + 1.0 / 6 / h);
  for (std::size_t n = 0; n < inputs.size(); ++n) {
    if (!inputs[n].defined() || inputs[n].dtype() != DType::f32) continue;
    INFO("input " << n);
    REQUIRE(inputs[n].grad().defined());
    const auto gradient = inputs[n].grad().to_vector();
    float* values = inputs[n].data<float>();
    for (std::int64_t i = 0; i < inputs[n].numel(); i += stride) {
      const float kept = values[i];
      const auto difference = [&](double step) {
        const float up = static_cast<float>(double{kept} + step), down = static_cast<float>(double{kept} - step);
        values[i] = up;
        const double above = loss(nullptr);
        values[i] = down;
        const double below = loss(nullptr);
        values[i] = kept;
        return (above - below) / (double{up} - double{down});
      };
      const double near = difference(h), far = difference(2 * h);
      const double expected = (4 * near - far) / 3, found = double{gradient[static_cast<std::size_t>(i)]};
      INFO("element " << i << ": gradient " << found << ", differences " << expected);
      CHECK(std::abs(found - expected) <= rounding + 0.1 * std::abs(far - near) + 1e-6 * std::abs(found));
    }
  }
}

}  // namespace orrery::test
