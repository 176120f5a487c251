// Sinkhorn normalisation of an n × n matrix (n ≤ 8) by one thread, forward and backward
// (kernels/api/hyper_connection.h).
#pragma once

#include <cmath>

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

/// m[i, j] ← m[i, j] / (Σ over the line + eps); a line is a row (by_row) or a column.
ORRERY_ON_DEVICE void normalize_lines(float* m, int n, bool by_row, float eps) {
  const int line = by_row ? n : 1, step = by_row ? 1 : n;
  for (int a = 0; a < n; ++a) {
    float sum = eps;
    for (int b = 0; b < n; ++b) sum += m[a * line + b * step];
    for (int b = 0; b < n; ++b) m[a * line + b * step] /= sum;
  }
}

/// The gradient of normalize_lines: `before` is its input, g becomes the gradient of it.
ORRERY_ON_DEVICE void normalize_lines_backward(const float* before, float* g, int n, bool by_row, float eps) {
  const int line = by_row ? n : 1, step = by_row ? 1 : n;
  for (int a = 0; a < n; ++a) {
    float sum = eps, dot = 0;
    for (int b = 0; b < n; ++b) {
      sum += before[a * line + b * step];
      dot += before[a * line + b * step] * g[a * line + b * step];
    }
    for (int b = 0; b < n; ++b) g[a * line + b * step] = (g[a * line + b * step] - dot / sum) / sum;
  }
}

/// m = softmax over the rows of z, plus eps: what the rounds start from.
ORRERY_ON_DEVICE void sinkhorn_start(const float* z, float* m, int n, float eps) {
  for (int i = 0; i < n; ++i) {
    float top = z[i * n], total = 0;
    for (int j = 0; j < n; ++j) top = fmaxf(top, z[i * n + j]);
    for (int j = 0; j < n; ++j) total += m[i * n + j] = expf(z[i * n + j] - top);
    for (int j = 0; j < n; ++j) m[i * n + j] = m[i * n + j] / total + eps;
  }
}

}  // namespace orrery::gpu
