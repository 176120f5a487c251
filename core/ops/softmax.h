// Softmax, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Over the last dimension; a row of −∞ only gives zeros. x [..., d] f32 or bf16.
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

}  // namespace orrery::ops
