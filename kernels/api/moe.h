// Mixture of experts: routing (DeepSeek-V3 and V4), the grouping of tokens by expert, and the clamped SwiGLU.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

enum class RouterScore : std::uint8_t {
  sqrt_softplus,  ///< sqrt(log(1 + exp(x))), V4
  sigmoid,        ///< V3, V3.2
  softmax,
};

struct RouteOptions {
  RouterScore score = RouterScore::sqrt_softplus;
  bool normalize = true;         ///< weights ÷ (their sum + 1e-20)
  float scaling = 1.0f;          ///< routed_scaling_factor
  std::int64_t groups = 1;       ///< V3: experts in groups; a group's score is the sum of its two best score + bias
  std::int64_t kept_groups = 1;  ///< groups that stay eligible
};

/// Choice by score + bias (equal: the lowest expert), weights from the score alone. ids in descending order of score +
/// bias.
struct RouteArgs {
  static constexpr const char* kOp = "route";
  TensorView logits;   ///< [T, E] f32
  TensorView bias;     ///< [E] f32, or not given
  TensorView given;    ///< [T, K] i32 expert ids (hash layers; distinct, in range), or not given: top K
  TensorView ids;      ///< [T, K] i32 out
  TensorView weights;  ///< [T, K] f32 out
  TensorView scores;   ///< [T, E] f32 out (balance losses), or not given
  RouteOptions options;
  Device device() const { return logits.device; }
};

struct RouteBackwardArgs {
  static constexpr const char* kOp = "route_backward";
  TensorView logits, ids;
  TensorView grad_weights;  ///< [T, K] f32
  TensorView grad_scores;   ///< [T, E] f32, or not given
  TensorView grad_logits;   ///< [T, E] f32, written
  RouteOptions options;
  Device device() const { return logits.device; }
};

/// Slots t·K + j sorted by expert, stable: expert e owns order[offsets[e] .. offsets[e + 1]).
struct MoePlanArgs {
  static constexpr const char* kOp = "moe_plan";
  TensorView ids;      ///< [T, K] i32
  TensorView order;    ///< [T·K] i32 out: the slot at each grouped row
  TensorView inverse;  ///< [T·K] i32 out: the grouped row of each slot
  TensorView offsets;  ///< [E + 1] i32 out
  Device device() const { return ids.device; }
};

/// y[i] = x[order[i] / K].
struct MoeGatherArgs {
  static constexpr const char* kOp = "moe_gather";
  TensorView x;      ///< [T, d] contiguous, f32 or bf16
  TensorView order;  ///< [T·K] i32
  TensorView y;      ///< [T·K, d] like x
  Device device() const { return x.device; }
};

/// out[t] = Σ_j weights[t, j] · y[inverse[t·K + j]], j in ascending order. Without weights (all 1): the gradient of
/// moe_gather.
struct MoeCombineArgs {
  static constexpr const char* kOp = "moe_combine";
  TensorView y;        ///< [T·K, d] contiguous, f32 or bf16
  TensorView inverse;  ///< [T·K] i32
  TensorView weights;  ///< [T, K] f32, or not given
  TensorView out;      ///< [T, d] like y
  Device device() const { return y.device; }
};

struct MoeCombineBackwardArgs {
  static constexpr const char* kOp = "moe_combine_backward";
  TensorView y, inverse, weights;
  TensorView grad_out;      ///< [T, d] like y
  TensorView grad_y;        ///< like y, written
  TensorView grad_weights;  ///< [T, K] f32, written; not given iff weights is not
  Device device() const { return y.device; }
};

/// out = silu(min(gate, limit)) · clamp(up, −limit, limit); limit ≤ 0: no clamp. gate and up may be the halves of one
/// buffer: rows may be strided, the last dimension is contiguous.
struct SwigluArgs {
  static constexpr const char* kOp = "swiglu";
  TensorView gate;  ///< [rows, I] f32 or bf16
  TensorView up;    ///< [rows, I] like gate
  TensorView out;   ///< [rows, I] like gate
  float limit = 0.0f;
  Device device() const { return gate.device; }
};

struct SwigluBackwardArgs {
  static constexpr const char* kOp = "swiglu_backward";
  TensorView gate, up;
  TensorView grad_out;
  TensorView grad_gate;  ///< [rows, I] like gate, rows may be strided; written. 0 beyond the clamp
  TensorView grad_up;
  float limit = 0.0f;
  Device device() const { return gate.device; }
};

}  // namespace orrery
