// A warp's work on one row of a decoding step: norms, turns, rounding.
#pragma once

#include <cmath>

#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/step_cache.cuh"

namespace orrery::gpu {

/// 1 / the root of the mean of squares.
ORRERY_ON_DEVICE float row_inverse(const float* x, std::int64_t dim, float eps, int lane) {
  double squares = 0;
  for (std::int64_t i = lane; i < dim; i += kWarp) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  squares = warp_sum(squares);
  return static_cast<float>(1 / sqrt(squares / static_cast<double>(dim) + static_cast<double>(eps)));
}

/// to = x · inverse · weight with the last pairs turned; to may be x. `turn(pair)` gives cos and sin.
template <class TurnOf>
ORRERY_ON_DEVICE void scale_and_turn(const float* x, float* to, std::int64_t dim, int pairs, float inverse,
                                     const float* weight, int lane, const TurnOf& turn) {
  const std::int64_t still = dim - 2 * pairs;
  const auto scaled = [&](std::int64_t i) { return x[i] * (weight != nullptr ? inverse * weight[i] : inverse); };
  for (std::int64_t i = lane; i < still; i += kWarp) to[i] = scaled(i);
  for (int pair = lane; pair < pairs; pair += kWarp) {
    const std::int64_t at = still + 2 * pair;
    const Turn by = turn(pair);
    const float a = scaled(at), b = scaled(at + 1);
    to[at] = a * by.cos - b * by.sin;
    to[at + 1] = a * by.sin + b * by.cos;
  }
}

/// A key of the indexer as the host's cache would hold it.
ORRERY_ON_DEVICE void round_key(float* key, std::int64_t dim, DType dtype, int lane) {
  if (dtype == DType::f32) return;
  float largest = 0;
  for (std::int64_t i = lane; i < dim; i += kWarp) largest = fmaxf(largest, fabsf(key[i]));
  largest = warp_max(largest);
  const float scale = largest > 0 ? largest / 127.0f : 1.0f;
  for (std::int64_t i = lane; i < dim; i += kWarp)
    key[i] = dtype == DType::i8 ? roundf(key[i] / scale) * scale : to_float(from_float<BFloat16>(key[i]));
}

}  // namespace orrery::gpu
