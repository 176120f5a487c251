// Layer norm and group norm, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Over the last dimension (Ba et al. 2016). x [..., d] f32 or bf16; weight and bias [d] f32, or undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps = 1e-5f);

/// Channels last (Wu & He 2018): x [batch, ..., channels] f32 or bf16, statistics over all positions and the channels
/// of a group; channels is a multiple of groups. weight and bias [channels] f32, or undefined.
Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, float eps = 1e-5f);

}  // namespace orrery::ops
