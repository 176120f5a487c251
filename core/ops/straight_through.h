// Training a hard choice of keys by the loss itself (straight-through estimation: Bengio, Léonard, Courville 2013,
// arXiv 1308.3432). Attention sees key s iff its score I_s is among the K best: a gate of 0 or 1 on exp(score), whose
// derivative is 0 almost everywhere. Backward takes the gate for σ(I_s − τ) instead, τ half way between the worst score
// chosen and the best one not chosen (a constant):
//   ∂L/∂I_s = σ'(I_s − τ) · Σ_h a_hs · ∂L/∂o_h · (v_s − o_h),
// where a_hs (v_s − o_h) is what the gate does to head h's output o_h: for a chosen key the derivative, a_hs = exp(x)
// being its share of the attention; for another the change were it let in alone, a_hs = σ(x) being the share that it
// would have; x = scale · q_h·k_s − lse_h. A query that sees no more than K keys chooses nothing: 0.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// What the attention worked on. All f32 or bf16.
struct ChosenKeys {
  Tensor q;        ///< [B, S, H, D]
  Tensor keys;     ///< [B, N, Hk, D], H a multiple of Hk
  Tensor values;   ///< [B, N, Hk, Dv]
  Tensor lse;      ///< [B, S, H] f32: log of the softmax's denominator over all that it saw
  Tensor indices;  ///< [B, S, K] i32: the chosen keys, −1: none
  float scale = 1.0f;
};

/// `out` [B, S, H, Dv] as it is: what attention gave. In backward its gradient goes on to it, and reaches `scores` [B,
/// S, N] f32 (−inf: not visible) as the file comment says. Nothing else gets a gradient from here. Costs products over
/// all N keys.
Tensor straight_through(const Tensor& out, const Tensor& scores, const ChosenKeys& in);

}  // namespace orrery::ops
