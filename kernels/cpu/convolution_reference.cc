// The plain-loop references of the convolutions: every pair of an output and an input element that a weight joins.
#include <vector>

#include "kernels/api/convolution.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

// Two dimensions are three with one step in time.
struct Sizes {
  std::int64_t batch, x[3], y[3], kernel[3], in, out, stride[3], padding[3], dilation[3];
};

Sizes sizes_of(const TensorView& x, const TensorView& weight, const TensorView& y, const ConvolutionShape& shape) {
  const int dims = x.rank - 2, skipped = 3 - dims;
  Sizes s{};
  s.batch = x.shape[0];
  s.in = x.shape[x.rank - 1];
  s.out = y.shape[y.rank - 1];
  for (int d = 0; d < 3; ++d) {
    const bool real = d >= skipped;
    const int at = d - skipped;
    s.x[d] = real ? x.shape[1 + at] : 1;
    s.y[d] = real ? y.shape[1 + at] : 1;
    s.kernel[d] = real ? weight.shape[1 + at] : 1;
    s.stride[d] = real ? shape.stride[at] : 1;
    s.padding[d] = real ? shape.padding[at] : 0;
    s.dilation[d] = real ? shape.dilation[at] : 1;
  }
  return s;
}

// Calls body(row of x, row of y, kernel position) for each that meet; a row is all channels of a place.
template <class Body>
void for_meetings(const Sizes& s, const Body& body) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t place = 0; place < s.y[0] * s.y[1] * s.y[2]; ++place)
      for (std::int64_t k = 0; k < s.kernel[0] * s.kernel[1] * s.kernel[2]; ++k) {
        const std::int64_t out[3] = {place / (s.y[1] * s.y[2]), place / s.y[2] % s.y[1], place % s.y[2]};
        const std::int64_t tap[3] = {k / (s.kernel[1] * s.kernel[2]), k / s.kernel[2] % s.kernel[1], k % s.kernel[2]};
        std::int64_t row = b;
        bool inside = true;
        for (int d = 0; d < 3; ++d) {
          const std::int64_t at = out[d] * s.stride[d] - s.padding[d] + tap[d] * s.dilation[d];
          inside = inside && at >= 0 && at < s.x[d];
          row = row * s.x[d] + at;
        }
        if (inside) body(row, b * s.y[0] * s.y[1] * s.y[2] + place, k);
      }
}

double weight_value(const TensorView& weight, std::int64_t at, DType beside) {
  const double value = load(weight, at);
  return weight.dtype == beside ? value : double{to_float(from_float<BFloat16>(static_cast<float>(value)))};
}

void store_all(const TensorView& view, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) store(view, static_cast<std::int64_t>(i), values[i]);
}

std::vector<double> with_bias(const TensorView& target, const TensorView& bias) {
  std::vector<double> sums(static_cast<std::size_t>(target.numel()), 0.0);
  const std::int64_t channels = target.shape[target.rank - 1];
  if (bias)
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = load(bias, static_cast<std::int64_t>(i) % channels);
  return sums;
}

void convolution_reference(const ConvolutionArgs& args) {
  const Sizes s = sizes_of(args.x, args.weight, args.y, args.shape);
  const std::int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  std::vector<double> sums = with_bias(args.y, args.bias);
  for_meetings(s, [&](std::int64_t x, std::int64_t y, std::int64_t k) {
    for (std::int64_t o = 0; o < s.out; ++o)
      for (std::int64_t i = 0; i < s.in; ++i)
        sums[static_cast<std::size_t>(y * s.out + o)] +=
            load(args.x, x * s.in + i) * weight_value(args.weight, (o * taps + k) * s.in + i, args.x.dtype);
  });
  store_all(args.y, sums);
}

void data_grad_reference(const ConvolutionDataGradArgs& args) {
  const Sizes s = sizes_of(args.grad_x, args.weight, args.grad_y, args.shape);
  const std::int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  std::vector<double> sums = with_bias(args.grad_x, {});
  for_meetings(s, [&](std::int64_t x, std::int64_t y, std::int64_t k) {
    for (std::int64_t o = 0; o < s.out; ++o)
      for (std::int64_t i = 0; i < s.in; ++i)
        sums[static_cast<std::size_t>(x * s.in + i)] +=
            load(args.grad_y, y * s.out + o) * weight_value(args.weight, (o * taps + k) * s.in + i, args.grad_y.dtype);
  });
  store_all(args.grad_x, sums);
}

void weight_grad_reference(const ConvolutionWeightGradArgs& args) {
  const Sizes s = sizes_of(args.x, args.grad_weight, args.grad_y, args.shape);
  const std::int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  std::vector<double> sums(static_cast<std::size_t>(args.grad_weight.numel()), 0.0);
  for_meetings(s, [&](std::int64_t x, std::int64_t y, std::int64_t k) {
    for (std::int64_t o = 0; o < s.out; ++o)
      for (std::int64_t i = 0; i < s.in; ++i)
        sums[static_cast<std::size_t>((o * taps + k) * s.in + i)] +=
            load(args.x, x * s.in + i) * load(args.grad_y, y * s.out + o);
  });
  store_all(args.grad_weight, sums);
}

}  // namespace

void add_convolution_references() {
  add_kernel<ConvolutionArgs>(Device::cpu, "reference", convolution_reference);
  add_kernel<ConvolutionDataGradArgs>(Device::cpu, "reference", data_grad_reference);
  add_kernel<ConvolutionWeightGradArgs>(Device::cpu, "reference", weight_grad_reference);
}

}  // namespace orrery
