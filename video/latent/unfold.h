// 3×3 neighbourhoods as rows, so that a convolution is one matrix product (which the fast kernels do best at this
// size).
#pragma once

#include "core/tensor/tensor.h"

namespace orrery {

/// x [N, H, W, C] f32 or bf16 → [N, H, W, 9·C]: the 3×3 neighbours' channels row by row, zeros beyond the border.
/// Recorded.
Tensor unfold3x3(const Tensor& x);

}  // namespace orrery
