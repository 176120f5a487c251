// Small steps of the decoder. Only core/generate includes it.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/ops/backends.h"
#include "core/tensor/tensor.h"
#include "kernels/api/decode.h"

namespace orrery {

using Floats = std::vector<float>;

// y [T, n] = x [T, k] · wᵀ
inline Floats product(const Floats& x, const Tensor& w, std::int64_t tokens) {
  const std::int64_t n = w.dim(0), k = w.dim(1);
  Floats y(static_cast<std::size_t>(tokens * n));
  TensorView xv, yv;
  xv.data = const_cast<float*>(x.data());
  yv.data = y.data();
  xv.rank = yv.rank = 2;
  xv.shape[0] = yv.shape[0] = tokens;
  xv.shape[1] = xv.strides[0] = k;
  yv.shape[1] = yv.strides[0] = n;
  xv.strides[1] = yv.strides[1] = 1;
  ops::run(FixedMatmulArgs{xv, w.view(), yv});
  return y;
}

// In place, rows of `dim` values; `weight` may be nullptr.
inline void rms_norm_rows(float* x, std::int64_t rows, std::int64_t dim, const float* weight, double eps) {
  for (std::int64_t r = 0; r < rows; ++r, x += dim) {
    double sum = 0;
    for (std::int64_t i = 0; i < dim; ++i) sum += double{x[i]} * x[i];
    const auto inverse = static_cast<float>(1 / std::sqrt(sum / static_cast<double>(dim) + eps));
    for (std::int64_t i = 0; i < dim; ++i) x[i] *= weight ? inverse * weight[i] : inverse;
  }
}

// Turns the last pairs of one head of `dim` values by the angles of `position`.
inline void rotate(float* x, std::int64_t dim, const Floats& frequencies, std::int64_t position, bool inverse) {
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  float* pair = x + dim - 2 * pairs;
  for (std::int64_t i = 0; i < pairs; ++i, pair += 2) {
    const float angle = static_cast<float>(position) * frequencies[static_cast<std::size_t>(i)];
    const float c = std::cos(angle), s = inverse ? -std::sin(angle) : std::sin(angle);
    const float a = pair[0], b = pair[1];
    pair[0] = a * c - b * s;
    pair[1] = a * s + b * c;
  }
}

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

}  // namespace orrery
