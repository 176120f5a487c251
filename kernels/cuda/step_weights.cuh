// Weights of a decoding step: f32, bf16 or integers, some at a time where rows are aligned for it.
#pragma once

#include "kernels/api/decode_step.h"
#include "kernels/cuda/vectors.cuh"

namespace orrery::gpu {

/// Calls body.operator()<W, kCount>() with W the matrix's storage type, and kVector where its rows and the inputs
/// (`aligned`) allow it.
template <class Body>
void with_weights(const StepMatrix& matrix, bool aligned, const Body& body) {
  const bool wide = aligned && all_aligned(matrix.w.data) && matrix.w.shape[1] % kVector == 0;
  const auto with_type = [&]<class W>() {
    if (wide)
      body.template operator()<W, kVector>();
    else
      body.template operator()<W, 1>();
  };
  if (matrix.w.dtype == DType::i8)
    with_type.template operator()<std::int8_t>();
  else if (matrix.w.dtype == DType::bf16)
    with_type.template operator()<BFloat16>();
  else
    with_type.template operator()<float>();
}

/// A lane's part of the dot of a row of weights and x.
template <int kVec, class W>
ORRERY_ON_DEVICE float lane_dot(const W* w, const float* x, std::int64_t k, int lane, float sum = 0) {
  for (std::int64_t at = lane * kVec; at < k; at += kWarp * kVec) {
    float weights[kVec], values[kVec];
    load_values<kVec>(weights, w + at);
    load_values<kVec>(values, x + at);
    ORRERY_UNROLL
    for (int v = 0; v < kVec; ++v) sum = fmaf(weights[v], values[v], sum);
  }
  return sum;
}

}  // namespace orrery::gpu
