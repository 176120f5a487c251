// Rotary position embedding on interleaved pairs of the last rope dims (Su et al. 2021, as DeepSeek-V4 lays it out):
//   (y[2i], y[2i+1]) = (x[2i]·c − x[2i+1]·s, x[2i]·s + x[2i+1]·c), c = cos[t, i], s = sin[t, i]; the dims before stay.
// The tables make it 1-D, YaRN or a 3-D split: the kernel only turns pairs. The inverse turns by −angle and is the
// gradient.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

struct RopeArgs {
  static constexpr const char* kOp = "rope";
  TensorView x;    ///< [B, S, H, D] contiguous, f32 or bf16
  TensorView cos;  ///< [S, R/2] f32, contiguous; R ≤ D: the last R dims turn
  TensorView sin;  ///< [S, R/2] f32
  TensorView y;    ///< like x; may be x itself
  bool inverse = false;
  Device device() const { return x.device; }
};

}  // namespace orrery
