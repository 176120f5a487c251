// Element access for plain loops over any view: any dtype, any strides, f64 arithmetic. Slow on purpose.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/api/bfloat16.h"
#include "kernels/api/types.h"

namespace orrery {

/// The element at `offset` (in elements) of a view's memory.
inline double load(const TensorView& view, std::int64_t offset) {
  switch (view.dtype) {
    case DType::f32:
      return double{view.as<const float>()[offset]};
    case DType::bf16:
      return double{to_float(view.as<const BFloat16>()[offset])};
    case DType::i32:
      return double{static_cast<double>(view.as<const std::int32_t>()[offset])};
    case DType::i8:
      return double{static_cast<double>(view.as<const std::int8_t>()[offset])};
  }
  return 0;
}

template <class Integer>
Integer saturate(double value) {
  if (!(value == value)) return 0;
  constexpr double kLow = std::numeric_limits<Integer>::min(), kHigh = std::numeric_limits<Integer>::max();
  const double rounded = std::nearbyint(value);
  return static_cast<Integer>(rounded < kLow ? kLow : rounded > kHigh ? kHigh : rounded);
}

inline void store(const TensorView& view, std::int64_t offset, double value) {
  switch (view.dtype) {
    case DType::f32:
      view.as<float>()[offset] = static_cast<float>(value);
      return;
    case DType::bf16:
      view.as<BFloat16>()[offset] = from_float<BFloat16>(static_cast<float>(value));
      return;
    case DType::i32:
      view.as<std::int32_t>()[offset] = saturate<std::int32_t>(value);
      return;
    case DType::i8:
      view.as<std::int8_t>()[offset] = saturate<std::int8_t>(value);
      return;
  }
}

/// Walks all index tuples of the first `rank` dimensions of `shape` in row-major order: index[d] is the current one.
struct Odometer {
  explicit Odometer(const TensorView& over, int used_rank) : rank(used_rank) {
    for (int d = 0; d < rank; ++d) {
      shape[d] = over.shape[d];
      if (shape[d] == 0) done = true;
    }
  }
  void next() {
    for (int d = rank - 1; d >= 0; --d) {
      if (++index[d] < shape[d]) return;
      index[d] = 0;
    }
    done = true;
  }
  /// Where the current tuple lies in `view` (its first `rank` dimensions).
  std::int64_t offset(const TensorView& view) const {
    std::int64_t sum = 0;
    for (int d = 0; d < rank; ++d) sum += (view.shape[d] == 1 ? 0 : index[d]) * view.strides[d];
    return sum;
  }
  int rank;
  bool done = false;
  std::int64_t shape[kMaxRank] = {};
  std::int64_t index[kMaxRank] = {};
};

/// sizes of a contiguous view seen as rows of its last dimension
inline std::int64_t row_length(const TensorView& view) { return view.rank == 0 ? 1 : view.shape[view.rank - 1]; }
inline std::int64_t row_count(const TensorView& view) {
  const std::int64_t d = row_length(view);
  return d == 0 ? 0 : view.numel() / d;
}

}  // namespace orrery
