// Copies: between any strides and dtypes. Contiguous, transpose, cast, slice, concat and pad are all made of these.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// y = x, converted to y's dtype (f32 to i8/i32 rounds to nearest and saturates); with `accumulate`, y += x.
struct CopyArgs {
  static constexpr const char* kOp = "copy";
  TensorView x;  ///< y's shape, any strides (0: broadcast)
  TensorView y;  ///< any strides, no two elements in one place
  bool accumulate = false;
  Device device() const { return y.device; }
};

struct FillArgs {
  static constexpr const char* kOp = "fill";
  TensorView y;
  float value = 0;
  Device device() const { return y.device; }
};

}  // namespace orrery
