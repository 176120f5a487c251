// Convolutions over two or three spatial dimensions, channels last, as three products that also make transposed
// convolutions: y = x ∗ w; the gradient for x (a transposed convolution's forward); the gradient for w.
// x [batch, (time,) rows, columns, in], w [out, (kt,) kr, kc, in], y [batch, (time′,) rows′, columns′, out],
// size′ = (size + 2·padding − dilation·(kernel − 1) − 1) / stride + 1. All contiguous.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// One value a spatial dimension; two-dimensional ones use the first two.
struct ConvolutionShape {
  std::int64_t stride[3] = {1, 1, 1};
  std::int64_t padding[3] = {0, 0, 0};  ///< zeros on both sides
  std::int64_t dilation[3] = {1, 1, 1};
};

struct ConvolutionArgs {
  static constexpr const char* kOp = "convolution";
  TensorView x;       ///< f32 or bf16
  TensorView weight;  ///< like x, or f32 beside bf16 x: rounded to bf16 first
  TensorView bias;    ///< [out] f32, or not given
  TensorView y;       ///< like x
  ConvolutionShape shape;
  Device device() const { return y.device; }
};

struct ConvolutionDataGradArgs {
  static constexpr const char* kOp = "convolution_data_grad";
  TensorView grad_y;  ///< f32 or bf16
  TensorView weight;  ///< like grad_y, or f32 beside bf16
  TensorView grad_x;  ///< like grad_y, written
  ConvolutionShape shape;
  Device device() const { return grad_x.device; }
};

struct ConvolutionWeightGradArgs {
  static constexpr const char* kOp = "convolution_weight_grad";
  TensorView x, grad_y;    ///< f32 or bf16
  TensorView grad_weight;  ///< f32, written
  ConvolutionShape shape;
  Device device() const { return x.device; }
};

}  // namespace orrery
