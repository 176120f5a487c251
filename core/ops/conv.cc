#include "core/ops/conv.h"

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"
#include "kernels/api/convolution.h"

namespace orrery::ops {

namespace {

void spread(const char* op, const char* name, const std::vector<std::int64_t>& values, int dims, std::int64_t least,
            std::int64_t* out) {
  ORRERY_CHECK(values.size() == 1 || static_cast<int>(values.size()) == dims, "[", op, "] ", values.size(),
               " values of ", name, ", expected 1 or ", dims);
  constexpr std::int64_t kMost = std::int64_t{1} << 20;  // so that sizes made of them cannot overflow
  for (int d = 0; d < dims; ++d) {
    out[d] = values[values.size() == 1 ? 0 : static_cast<std::size_t>(d)];
    ORRERY_CHECK(out[d] >= least && out[d] <= kMost, "[", op, "] ", name, " is ", out[d], ", expected from ", least,
                 " to ", kMost);
  }
}

ConvolutionShape shape_of(const char* op, const ConvOptions& options, int dims) {
  ConvolutionShape shape;
  spread(op, "stride", options.stride, dims, 1, shape.stride);
  spread(op, "padding", options.padding, dims, 0, shape.padding);
  spread(op, "dilation", options.dilation, dims, 1, shape.dilation);
  return shape;
}

// What all four check: ranks, dtypes, the channels that x and the weight share.
void check_operands(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, int dims,
                    bool transposed) {
  check_floating(op, "x", x);
  check_floating(op, "weight", weight);
  ORRERY_CHECK(
      x.rank() == dims + 2 && weight.rank() == dims + 2 && x.dim(-1) == weight.dim(transposed ? 0 : -1), "[", op,
      "] x is ", describe(x), ", weight is ", describe(weight),
      transposed ? ", expected [batch, ..., in] and [in, ..., out]" : ", expected [batch, ..., in] and [out, ..., in]");
  ORRERY_CHECK(weight.dtype() == x.dtype() || weight.dtype() == DType::f32, "[", op, "] x is ", describe(x),
               ", weight is ", describe(weight), ", expected f32 or x's dtype");
  const std::int64_t out = weight.dim(transposed ? -1 : 0);
  ORRERY_CHECK(!bias.defined() || (bias.dtype() == DType::f32 && bias.shape() == Shape{out}), "[", op, "] bias is ",
               describe(bias), ", expected f32 [", out, "]");
}

Shape result_shape(const char* op, const Tensor& x, const Tensor& weight, const ConvolutionShape& shape,
                   bool transposed) {
  Shape result{x.dim(0)};
  for (int d = 0; d + 2 < x.rank(); ++d) {
    const std::int64_t reach = shape.dilation[d] * (weight.dim(d + 1) - 1) + 1, size = x.dim(d + 1);
    const std::int64_t room =
        transposed ? (size - 1) * shape.stride[d] - 2 * shape.padding[d] + reach : size + 2 * shape.padding[d] - reach;
    ORRERY_CHECK(transposed ? room > 0 : room >= 0, "[", op, "] dimension ", d + 1, " of ", describe(x),
                 " is too small for ", describe(weight));
    result.push_back(transposed ? room : room / shape.stride[d] + 1);
  }
  result.push_back(weight.dim(transposed ? -1 : 0));
  return result;
}

Tensor dense_or_none(const Tensor& x) { return x.defined() ? dense(x) : x; }

Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Shape& result,
               const ConvolutionShape& shape) {
  const Tensor y = Tensor::empty(result, x.dtype(), x.device());
  run(ConvolutionArgs{x.view(), weight.view(), bias.view(), y.view(), shape});
  return y;
}

Tensor data_grad(const Tensor& grad_y, const Tensor& weight, const Shape& result, const ConvolutionShape& shape) {
  const Tensor grad_x = Tensor::empty(result, grad_y.dtype(), grad_y.device());
  run(ConvolutionDataGradArgs{grad_y.view(), weight.view(), grad_x.view(), shape});
  return grad_x;
}

Tensor weight_grad(const Tensor& x, const Tensor& grad_y, const Tensor& weight, const ConvolutionShape& shape) {
  const Tensor grad = Tensor::empty(weight.shape(), DType::f32, weight.device());
  run(ConvolutionWeightGradArgs{x.view(), grad_y.view(), grad.view(), shape});
  return dense_as(grad, weight.dtype());
}

Tensor conv(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options,
            int dims) {
  check_operands(op, x, weight, bias, dims, false);
  const ConvolutionShape shape = shape_of(op, options, dims);
  const Tensor source = dense(x), kernel = dense(weight);
  const Tensor y = forward(source, kernel, dense_or_none(bias), result_shape(op, x, weight, shape, false), shape);
  if (!needs_tape({&x, &weight, &bias})) return y;
  record(op, {x, weight, bias}, {y},
         [source, kernel, shape, bias_shape = bias.defined() ? bias.shape() : Shape{}, wants_x = x.requires_grad(),
          wants_weight = weight.requires_grad(), wants_bias = bias.requires_grad()](const std::vector<Tensor>& grads) {
           const Tensor grad = dense_as(grads[0], source.dtype());
           return std::vector<Tensor>{wants_x ? data_grad(grad, kernel, source.shape(), shape) : Tensor(),
                                      wants_weight ? weight_grad(source, grad, kernel, shape) : Tensor(),
                                      wants_bias ? sum_to(grad, bias_shape, DType::f32) : Tensor()};
         });
  return y;
}

// The gradient of a convolution from the result's shape to x's: everything the other way round.
Tensor conv_transpose(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                      const ConvOptions& options, int dims) {
  check_operands(op, x, weight, bias, dims, true);
  const ConvolutionShape shape = shape_of(op, options, dims);
  const Tensor source = dense(x), kernel = dense(weight);
  const Shape result = result_shape(op, x, weight, shape, true);
  const Tensor y = data_grad(source, kernel, result, shape);
  record(op, {x, weight}, {y},
         [source, kernel, shape, wants_x = x.requires_grad(),
          wants_weight = weight.requires_grad()](const std::vector<Tensor>& grads) {
           const Tensor grad = dense_as(grads[0], source.dtype());
           return std::vector<Tensor>{wants_x ? forward(grad, kernel, {}, source.shape(), shape) : Tensor(),
                                      wants_weight ? weight_grad(grad, source, kernel, shape) : Tensor()};
         });
  return bias.defined() ? add(y, cast(bias, x.dtype())) : y;
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv("conv2d", x, weight, bias, options, 2);
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv("conv3d", x, weight, bias, options, 3);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv_transpose("conv_transpose2d", x, weight, bias, options, 2);
}
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv_transpose("conv_transpose3d", x, weight, bias, options, 3);
}

}  // namespace orrery::ops
