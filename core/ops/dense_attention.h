// Plain multi-head attention, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

struct DenseAttentionOptions {
  bool causal = false;  ///< query t sees the keys up to t + (S − T)
  float scale = 0.0f;   ///< 0: 1/√D
};

/// softmax(scale · q·kᵀ + mask)·v. q [B, T, H, D], k [B, S, Hk, D], v [B, S, Hk, Dv], all f32 or all bf16, H a multiple
/// of Hk; slices of one projection cost no copy. mask [T, S] f32 or undefined. Returns [B, T, H, Dv].
Tensor dense_attention(const Tensor& q, const Tensor& k, const Tensor& v, const DenseAttentionOptions& options = {},
                       const Tensor& mask = {});

}  // namespace orrery::ops
