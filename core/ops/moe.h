// Mixture of experts as differentiable operations: routing, grouping, SwiGLU. The experts' products are in matmul.h.
#pragma once

#include "core/tensor/tensor.h"
#include "kernels/api/moe.h"

namespace orrery::ops {

struct Routing {
  Tensor ids;      ///< [T, K] i32, best first
  Tensor weights;  ///< [T, K] f32
  Tensor scores;   ///< [T, E] f32: the scores of all experts, for balance losses
};

/// Chooses `count` experts a token by score + bias, weighs them by the score alone. logits [T, E] f32; bias [E] f32 or
/// undefined. `given` [T, count] i32: use these experts (hash layers), checked against E. Gradients reach logits.
Routing route(const Tensor& logits, const Tensor& bias, const Tensor& given, std::int64_t count,
              const RouteOptions& options);

struct MoePlan {
  Tensor order;    ///< [T·K] i32: slot t·K + j at each grouped row
  Tensor inverse;  ///< [T·K] i32: grouped row of each slot
  Tensor offsets;  ///< [E + 1] i32: expert e owns the rows [offsets[e], offsets[e + 1])
};

/// Groups the slots of ids [T, K] by expert, stable.
MoePlan moe_plan(const Tensor& ids, std::int64_t experts);

/// Rows of x [T, d] in grouped order: [T·K, d].
Tensor moe_gather(const Tensor& x, const MoePlan& plan);

/// out[t] = Σ_j weights[t, j] · (row of slot t·K + j of y [T·K, d]): [T, d]. Gradients reach y and weights [T, K] f32.
Tensor moe_combine(const Tensor& y, const Tensor& weights, const MoePlan& plan);

/// silu(min(gate, limit)) · clamp(up, ±limit); limit ≤ 0: no clamp. gate, up [..., I], f32 or bf16.
Tensor swiglu(const Tensor& gate, const Tensor& up, float limit);

/// The same with gate and up as the halves of gate_up [..., 2·I].
Tensor swiglu(const Tensor& gate_up, float limit);

}  // namespace orrery::ops
