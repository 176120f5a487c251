// Normalisations.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// RMS norm over the last dimension (Zhang & Sennrich 2019): x · rsqrt(mean(x²) + eps) · weight.
/// x [..., d] f32 or bf16; weight [d] f32, or undefined for none. Returns x's shape and dtype.
Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps = 1e-6f);

}  // namespace orrery::ops
