// Softmax over the last dimension, and the row kernel of the cross entropy.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// A row of −∞ only gives zeros.
struct SoftmaxArgs {
  static constexpr const char* kOp = "softmax";
  TensorView x;      ///< [..., d] contiguous, f32 or bf16
  TensorView y;      ///< like x
  bool log = false;  ///< y = log softmax(x)
  Device device() const { return x.device; }
};

struct SoftmaxBackwardArgs {
  static constexpr const char* kOp = "softmax_backward";
  TensorView y, grad_y;  ///< the forward's output and its gradient
  TensorView grad_x;
  bool log = false;
  Device device() const { return y.device; }
};

/// loss[r] = log Σ exp(logits[r]) − logits[r, target[r]]; grad[r] = weight[r] · (softmax(logits[r]) −
/// onehot(target[r])). A negative target is ignored: loss and gradient 0.
struct CrossEntropyArgs {
  static constexpr const char* kOp = "cross_entropy";
  TensorView logits;   ///< [rows, classes] contiguous, f32 or bf16
  TensorView targets;  ///< [rows] i32
  TensorView weights;  ///< [rows] f32, or not given: 1
  TensorView losses;   ///< [rows] f32 out, not weighted
  TensorView grad;     ///< [rows, classes] f32 or bf16 out, or not given; may be the logits' own memory
  Device device() const { return logits.device; }
};

/// A draw from softmax(logits[r]): the first column at which the running sum of exp(logit) passes uniforms[r] of the
/// whole.
struct DrawArgs {
  static constexpr const char* kOp = "draw";
  TensorView logits;    ///< [rows, n] f32, n > 0; columns are neighbours, rows may lie apart
  TensorView uniforms;  ///< [rows] f32 in [0, 1)
  TensorView out;       ///< [rows] i32
  Device device() const { return logits.device; }
};

}  // namespace orrery
