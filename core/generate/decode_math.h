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
class Matrix {
 public:
  Matrix() = default;
  Matrix(Tensor values, Tensor scales)
      : values_(std::move(values)), scales_(std::move(scales)), view_(values_.view()) {}
  bool defined() const { return values_.defined(); }
  std::int64_t rows() const { return view_.shape[0]; }
  std::int64_t columns() const { return view_.shape[1]; }
  const Tensor& values() const { return values_; }
  const TensorView& view() const { return view_; }
  const float* scales() const { return scales_.defined() ? scales_.data<float>() : nullptr; }
  std::int64_t bytes() const { return defined() ? values_.bytes() + (scales_.defined() ? scales_.bytes() : 0) : 0; }

 private:
  Tensor values_, scales_;
  TensorView view_;  // asked for at every step
};

// Products that do not wait for one another, in one go over all threads.
class Products {
 public:
  // y [T, n] = x [T, k] · wᵀ. Both are wanted until run() is through.
  void add(const float* x, const Matrix& w, std::int64_t tokens, Floats& y) {
    y.resize(static_cast<std::size_t>(tokens * w.rows()));
    add(x, w, tokens, y.data(), w.rows());
  }
  // Rows of y lie `stride` apart.
  void add(const float* x, const Matrix& w, std::int64_t tokens, float* y, std::int64_t stride) {
    TensorView xv, yv;
    xv.data = const_cast<float*>(x);
    yv.data = y;
    xv.rank = yv.rank = 2;
    xv.shape[0] = yv.shape[0] = tokens;
    xv.shape[1] = xv.strides[0] = w.columns();
    yv.shape[1] = w.rows(), yv.strides[0] = stride;
    xv.strides[1] = yv.strides[1] = 1;
    each_.push_back({xv, w.view(), yv, w.scales()});
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
