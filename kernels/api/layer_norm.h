// Layer norm over the last dimension (Ba et al. 2016) and group norm over positions and groups of channels (Wu & He
// 2018).
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// y = (x − mean) · inverse · weight + bias, inverse = rsqrt(variance + eps).
struct LayerNormArgs {
  static constexpr const char* kOp = "layer_norm";
  TensorView x;        ///< [rows, d] contiguous, f32 or bf16
  TensorView weight;   ///< [d] f32, or not given: 1
  TensorView bias;     ///< [d] f32, or not given: 0
  TensorView y;        ///< like x
  TensorView mean;     ///< [rows] f32 out
  TensorView inverse;  ///< [rows] f32 out
  float eps = 1e-5f;
  Device device() const { return x.device; }
};

struct LayerNormBackwardArgs {
  static constexpr const char* kOp = "layer_norm_backward";
  TensorView x, weight, mean, inverse, grad_y;
  TensorView grad_x;       ///< like x
  TensorView grad_weight;  ///< [d] f32, written; or not given
  TensorView grad_bias;    ///< [d] f32, written; or not given
  Device device() const { return x.device; }
};

/// Channels last: statistics over the positions and the channels of a group.
struct GroupNormArgs {
  static constexpr const char* kOp = "group_norm";
  TensorView x;        ///< [batch, positions, channels] contiguous, f32 or bf16
  TensorView weight;   ///< [channels] f32, or not given
  TensorView bias;     ///< [channels] f32, or not given
  TensorView y;        ///< like x
  TensorView mean;     ///< [batch, groups] f32 out; channels are a multiple of groups
  TensorView inverse;  ///< [batch, groups] f32 out
  float eps = 1e-5f;
  Device device() const { return x.device; }
};

struct GroupNormBackwardArgs {
  static constexpr const char* kOp = "group_norm_backward";
  TensorView x, weight, mean, inverse, grad_y;
  TensorView grad_x;       ///< like x
  TensorView grad_weight;  ///< [channels] f32, written; or not given
  TensorView grad_bias;    ///< [channels] f32, written; or not given
  Device device() const { return x.device; }
};

}  // namespace orrery
