// Softmax, recorded on the tape, and draws from it.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Over the last dimension; a row of −∞ only gives zeros. x [..., d] f32 or bf16.
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

/// [rows] i32: a draw from softmax(logits[r]) for each row of logits [rows, n] f32, by uniforms [rows] f32 in [0, 1).
/// Not recorded.
Tensor draw(const Tensor& logits, const Tensor& uniforms);

}  // namespace orrery::ops
