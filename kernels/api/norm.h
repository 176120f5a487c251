// RMS norm over the last dimension (Zhang & Sennrich 2019): y = x · rsqrt(mean(x²) + eps) · weight.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

struct RmsNormArgs {
  static constexpr const char* kOp = "rms_norm";
  TensorView x;        ///< [rows, d] contiguous, f32 or bf16
  TensorView weight;   ///< [d] f32, or not given
  TensorView y;        ///< [rows, d] like x
  TensorView inverse;  ///< [rows] f32 out: rsqrt(mean(x²) + eps), kept for backward
  float eps;
  Device device() const { return x.device; }
};

/// grad_x may be nullptr-viewed when not wanted; grad_weight is accumulated over rows in a fixed order.
struct RmsNormBackwardArgs {
  static constexpr const char* kOp = "rms_norm_backward";
  TensorView x, weight, inverse, grad_y;
  TensorView grad_x;       ///< [rows, d]
  TensorView grad_weight;  ///< [d] f32, written (not added to)
  Device device() const { return x.device; }
};

}  // namespace orrery
