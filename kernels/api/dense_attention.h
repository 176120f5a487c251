// Plain multi-head attention, softmax(scale · q·kᵀ + mask)·v, for models without DeepSeek-V4's parts (baselines,
// encoders). Query t stands at position t + (keys − queries): with `causal` it sees the keys up to its own position.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// The last dimension is contiguous, the others may have any strides (slices of one projection). Key head h / (H / Hk)
/// serves query head h.
struct DenseAttentionArgs {
  static constexpr const char* kOp = "dense_attention";
  TensorView q;     ///< [B, T, H, D] f32 or bf16
  TensorView k;     ///< [B, S, Hk, D] like q
  TensorView v;     ///< [B, S, Hk, Dv] like q
  TensorView mask;  ///< [T, S] f32 contiguous, added to the scaled scores (−∞: not seen), or not given
  TensorView out;   ///< [B, T, H, Dv] like q; 0 where a query sees nothing
  TensorView lse;  ///< [B, T, H] f32 contiguous out: the log of the softmax's denominator; −∞ where nothing is seen
  float scale = 1;
  bool causal = false;
  Device device() const { return q.device; }
};

struct DenseAttentionBackwardArgs {
  static constexpr const char* kOp = "dense_attention_backward";
  TensorView q, k, v, mask, out, lse, grad_out;
  TensorView grad_q, grad_k, grad_v;  ///< like q, k and v, contiguous, written
  float scale = 1;
  bool causal = false;
  Device device() const { return q.device; }
};

}  // namespace orrery
