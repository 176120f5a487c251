// Sinkhorn normalisation of an n × n matrix (n ≤ 8) by one thread, forward and backward
// (kernels/api/hyper_connection.h).
#pragma once

#include <cmath>

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

/// One thread's matrices in shared memory. Those of its neighbours lie between its elements, so that the threads of a
/// warp read different banks.
struct Cells {
  float* at;
  int stride;
  ORRERY_ON_DEVICE float& operator[](int i) const { return at[i * stride]; }
  ORRERY_ON_DEVICE Cells from(int i) const { return {at + i * stride, stride}; }
};

/// m[i, j] ← m[i, j] / (Σ over the line + eps); a line is a row (by_row) or a column.
ORRERY_ON_DEVICE void normalize_lines(const Cells& m, int n, bool by_row, float eps) {
  const int line = by_row ? n : 1, step = by_row ? 1 : n;
  for (int a = 0; a < n; ++a) {
    float sum = eps;
    for (int b = 0; b < n; ++b) sum += m[a * line + b * step];
    for (int b = 0; b < n; ++b) m[a * line + b * step] /= sum;
  }
}

/// The gradient of normalize_lines: `before` is its input, g becomes the gradient of it.
ORRERY_ON_DEVICE void normalize_lines_backward(const Cells& before, const Cells& g, int n, bool by_row, float eps) {
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

/// m ← softmax over its rows, plus eps: what the rounds start from.
ORRERY_ON_DEVICE void sinkhorn_start(const Cells& m, int n, float eps) {
  for (int i = 0; i < n; ++i) {
    float top = m[i * n], total = 0;
    for (int j = 0; j < n; ++j) top = fmaxf(top, m[i * n + j]);
    for (int j = 0; j < n; ++j) total += m[i * n + j] = expf(m[i * n + j] - top);
    for (int j = 0; j < n; ++j) m[i * n + j] = m[i * n + j] / total + eps;
  }
}

/// kernel(token, cells) by a thread for each token; a thread has `floats` cells.
template <class Kernel>
struct SinkhornTokens {
  Kernel kernel;
  std::int64_t tokens;
  int per_block;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t t = block.index * per_block + block.thread;
    if (block.thread >= per_block || t >= tokens) return;
    kernel(t, Cells{reinterpret_cast<float*>(block.memory) + block.thread, per_block});
  }
};

template <class Kernel>
void launch_sinkhorn(const char* op, std::int64_t tokens, std::int64_t floats, const Kernel& kernel) {
  const std::int64_t bytes = floats * std::int64_t{sizeof(float)};
  int per_block = kWarp;
  while (per_block > 1 && bytes * per_block > 96 * 1024) per_block /= 2;
  launch_blocks(op, (tokens + per_block - 1) / per_block, kWarp, bytes * per_block,
                SinkhornTokens<Kernel>{kernel, tokens, per_block});
}

}  // namespace orrery::gpu
