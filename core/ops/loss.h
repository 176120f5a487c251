// Losses, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

struct HeadLoss {
  Tensor total;   ///< [1] f32: Σ weight·loss / Σ weight over the targets that count; 0 when none does
  Tensor losses;  ///< [T] f32: each token's own, in nats; 0 where ignored. Not recorded
};

/// Cross entropy of logits [T, classes] f32 or bf16 against targets [T] i32 (negative: ignored), weighted by
/// weights [T] f32 (undefined: 1).
HeadLoss cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights = {});

/// The same of hidden·headᵀ, in chunks of tokens, so that no [T, V] buffer lives. hidden [T, d] f32 or bf16;
/// head [V, d] f32 (beside bf16 hidden it takes part as bf16). The gradients are computed on the way forward.
HeadLoss linear_cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets,
                              const Tensor& weights = {});

}  // namespace orrery::ops
