// Reductions, in an order that depends only on the shape.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

enum class Reduction : std::uint8_t { sum, mean, max };

/// y has x's rank; the reduced dimensions are 1 there. f32 sums are kept in blocks of fixed size, so that the result
/// does not depend on threads.
struct ReduceArgs {
  static constexpr const char* kOp = "reduce";
  TensorView x;  ///< f32 or bf16, any strides
  TensorView y;  ///< f32 or bf16, contiguous
  Reduction op;
  Device device() const { return y.device; }
};

/// sum = Σ x² (in f64 over fixed blocks), for gradient norms.
struct SumSquaresArgs {
  static constexpr const char* kOp = "sum_squares";
  TensorView x;    ///< contiguous, f32 or bf16
  TensorView sum;  ///< one f32
  Device device() const { return x.device; }
};

}  // namespace orrery
