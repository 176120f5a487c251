// Elementwise ops, computed in f32. Operands have the output's shape; a broadcast dimension has stride 0.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

enum class Unary : std::uint8_t {
  affine,  ///< alpha·x + beta
  clamp,   ///< min(max(x, alpha), beta)
  abs,
  square,
  sqrt,
  rsqrt,
  reciprocal,
  exp,
  log,
  sin,
  cos,
  tanh,
  sigmoid,
  softplus,  ///< log(1 + eˣ)
  relu,
  silu,  ///< x·sigmoid(x)
  gelu,  ///< x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
};

struct UnaryArgs {
  static constexpr const char* kOp = "unary";
  TensorView x;  ///< any shape, f32 or bf16
  TensorView y;  ///< like x, contiguous
  Unary op;
  float alpha = 1, beta = 0;
  Device device() const { return y.device; }
};

/// grad_x = grad_y · f′(x). The derivative at a kink (abs, relu at 0; clamp at its limits) is 0, inside clamp's
/// limits 1.
struct UnaryBackwardArgs {
  static constexpr const char* kOp = "unary_backward";
  TensorView x, grad_y;
  TensorView grad_x;  ///< contiguous
  Unary op;
  float alpha = 1, beta = 0;
  Device device() const { return grad_x.device; }
};

enum class Binary : std::uint8_t { add, sub, mul, div, max, min, equal, less };

struct BinaryArgs {
  static constexpr const char* kOp = "binary";
  TensorView a, b;  ///< f32, bf16 (mixed as they come) or i32 (both)
  TensorView y;     ///< contiguous; equal and less write 1 or 0
  Binary op;
  Device device() const { return y.device; }
};

}  // namespace orrery
