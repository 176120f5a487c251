// Small steps of the decoder. Only core/generate includes it.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/base/parallel.h"
#include "core/model/rope_axes.h"
#include "core/ops/backends.h"
#include "core/tensor/tensor.h"
#include "kernels/api/decode.h"

namespace orrery {

using Floats = std::vector<float>;

// Seconds since it was made, where they are wanted.
class Clock {
 public:
  explicit Clock(bool runs) : runs_(runs) {
    if (runs) begin_ = std::chrono::steady_clock::now();
  }
  double seconds() const {
    return runs_ ? std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count() : 0;
  }

 private:
  bool runs_;
  std::chrono::steady_clock::time_point begin_;
};

// [n, k] f32, bf16, or i8 with a scale a row.
struct Matrix {
  Tensor values, scales;
  bool defined() const { return values.defined(); }
  std::int64_t bytes() const { return defined() ? values.bytes() + (scales.defined() ? scales.bytes() : 0) : 0; }
};

// Products that do not wait for one another, in one go over all threads.
class Products {
 public:
  // y [T, n] = x [T, k] · wᵀ. Both are wanted until run() is through.
  void add(const float* x, const Matrix& w, std::int64_t tokens, Floats& y) {
    const std::int64_t n = w.values.dim(0);
    y.resize(static_cast<std::size_t>(tokens * n));
    add(x, w, tokens, y.data(), n);
  }
  // Rows of y lie `stride` apart.
  void add(const float* x, const Matrix& w, std::int64_t tokens, float* y, std::int64_t stride) {
    const TensorView weights = w.values.view();
    TensorView xv, yv;
    xv.data = const_cast<float*>(x);
    yv.data = y;
    xv.rank = yv.rank = 2;
    xv.shape[0] = yv.shape[0] = tokens;
    xv.shape[1] = xv.strides[0] = weights.shape[1];
    yv.shape[1] = weights.shape[0], yv.strides[0] = stride;
    xv.strides[1] = yv.strides[1] = 1;
    each_.push_back({xv, weights, yv, w.scales.defined() ? w.scales.data<float>() : nullptr});
  }
  void run() {
    ops::run(FixedMatmulsArgs{each_.data(), static_cast<std::int64_t>(each_.size())});
    each_.clear();
  }

 private:
  std::vector<FixedMatmulArgs> each_;
};

// y [T, n] = x [T, k] · wᵀ
inline Floats product(const Floats& x, const Matrix& w, std::int64_t tokens) {
  Floats y;
  Products one;
  one.add(x.data(), w, tokens, y);
  one.run();
  return y;
}

// Rows of small steps that are worth a thread.
inline constexpr std::int64_t kRowsAThread = 16;

// 1 / √(mean of x² + eps). The sums run side by side: one alone would wait for itself.
inline float inverse_rms(const float* x, std::int64_t count, double eps) {
  constexpr std::int64_t kSums = 8;
  double sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (std::int64_t s = 0; s < kSums; ++s) sums[s] += double{x[i + s]} * x[i + s];
  for (; i < count; ++i) sums[0] += double{x[i]} * x[i];
  double sum = 0;
  for (const double part : sums) sum += part;
  return static_cast<float>(1 / std::sqrt(sum / static_cast<double>(count) + eps));
}

// In place, rows of `dim` values; `weight` may be nullptr.
inline void rms_norm_rows(float* x, std::int64_t rows, std::int64_t dim, const float* weight, double eps) {
  parallel_for(rows, kRowsAThread, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* row = x + r * dim;
      const float inverse = inverse_rms(row, dim, eps);
      for (std::int64_t i = 0; i < dim; ++i) row[i] *= weight ? inverse * weight[i] : inverse;
    }
  });
}

// Appends cos and sin of each pair's angle for token `id` at `position`.
inline void append_turns(Floats& turns, const RopeAxes& axes, const Floats& frequencies, std::int64_t position,
                         std::int32_t id) {
  Floats angles;
  axes.append_angles(angles, frequencies, position, id);
  for (const float angle : angles) {
    turns.push_back(std::cos(angle));
    turns.push_back(std::sin(angle));
  }
}

// Turns the last pairs of one head of `dim` values; turns [pairs, 2].
inline void rotate(float* x, std::int64_t dim, const float* turns, std::int64_t pairs, bool inverse) {
  float* pair = x + dim - 2 * pairs;
  for (std::int64_t i = 0; i < pairs; ++i, pair += 2, turns += 2) {
    const float c = turns[0], s = inverse ? -turns[1] : turns[1];
    const float a = pair[0], b = pair[1];
    pair[0] = a * c - b * s;
    pair[1] = a * s + b * c;
  }
}

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

}  // namespace orrery
