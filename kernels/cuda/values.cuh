// Elements of any dtype, and nested loops over several strided views at once.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

template <class Integer>
ORRERY_ON_DEVICE Integer saturated(double value, double low, double high) {
  if (!(value == value)) return 0;
  const double rounded = nearbyint(value);
  return static_cast<Integer>(rounded < low ? low : rounded > high ? high : rounded);
}

/// i / size of numbers that are not negative; 64-bit division is slow on a GPU.
ORRERY_ON_DEVICE std::int64_t quotient(std::int64_t i, std::int64_t size) {
  if (((i | size) >> 32) == 0) return static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(size);
  return i / size;
}

/// Memory whose dtype is known at run time, read and written as C (float, or double where integers take part).
struct Values {
  void* data = nullptr;
  DType dtype = DType::f32;

  template <class C>
  ORRERY_ON_DEVICE C load(std::int64_t i) const {
    switch (dtype) {
      case DType::f32:
        return static_cast<C>(static_cast<const float*>(data)[i]);
      case DType::bf16:
        return static_cast<C>(to_float(static_cast<const BFloat16*>(data)[i]));
      case DType::i32:
        return static_cast<C>(static_cast<const std::int32_t*>(data)[i]);
      case DType::i8:
        return static_cast<C>(static_cast<const std::int8_t*>(data)[i]);
    }
    return 0;
  }
  template <class C>
  ORRERY_ON_DEVICE void store(std::int64_t i, C value) const {
    switch (dtype) {
      case DType::f32:
        static_cast<float*>(data)[i] = static_cast<float>(value);
        return;
      case DType::bf16:
        static_cast<BFloat16*>(data)[i] = from_float<BFloat16>(static_cast<float>(value));
        return;
      case DType::i32:
        static_cast<std::int32_t*>(data)[i] =
            saturated<std::int32_t>(static_cast<double>(value), -2147483648.0, 2147483647.0);
        return;
      case DType::i8:
        static_cast<std::int8_t*>(data)[i] = saturated<std::int8_t>(static_cast<double>(value), -128.0, 127.0);
        return;
    }
  }
};

inline Values values_of(const TensorView& view) { return {view.data, view.dtype}; }
inline bool integral(const TensorView& view) { return view.dtype == DType::i32 || view.dtype == DType::i8; }

/// Calls body.operator()<T>() with T the storage type of a float dtype.
template <class Body>
void with_float_type(DType dtype, const Body& body) {
  if (dtype == DType::bf16)
    body.template operator()<BFloat16>();
  else
    body.template operator()<float>();
}

/// Row-major numbers of `kViews` views of one shape as element offsets of each. Neighbouring dimensions are merged
/// where all views step evenly; rank 1 with strides of 1 is the common case.
template <int kViews>
struct Walk {
  int rank = 0;  ///< at least 1 after make_walk
  std::int64_t total = 1;
  std::int64_t shape[kMaxRank] = {};
  std::int64_t strides[kMaxRank][kViews] = {};

  struct Offsets {
    std::int64_t at[kViews];
  };
  ORRERY_ANYWHERE Offsets operator()(std::int64_t flat) const {
    Offsets result;
    for (int v = 0; v < kViews; ++v) result.at[v] = 0;
    if (total < (std::int64_t{1} << 31)) {  // 64-bit division is slow on a GPU
      auto rest = static_cast<std::uint32_t>(flat);
      for (int d = rank - 1; d > 0; --d) {
        const auto size = static_cast<std::uint32_t>(shape[d]);
        const std::uint32_t next = rest / size;
        for (int v = 0; v < kViews; ++v) result.at[v] += std::int64_t{rest - next * size} * strides[d][v];
        rest = next;
      }
      for (int v = 0; v < kViews; ++v) result.at[v] += std::int64_t{rest} * strides[0][v];
    } else {
      for (int d = rank - 1; d > 0; --d) {
        const std::int64_t next = flat / shape[d];
        for (int v = 0; v < kViews; ++v) result.at[v] += (flat - next * shape[d]) * strides[d][v];
        flat = next;
      }
      for (int v = 0; v < kViews; ++v) result.at[v] += flat * strides[0][v];
    }
    return result;
  }
};

/// All views have the first one's shape.
template <int kViews>
Walk<kViews> make_walk(const TensorView* const (&views)[kViews]) {
  Walk<kViews> walk;
  walk.total = views[0]->numel();
  for (int d = 0; d < views[0]->rank; ++d) {
    const std::int64_t size = views[0]->shape[d];
    if (size == 1) continue;
    bool merges = walk.rank > 0;
    for (int v = 0; v < kViews && merges; ++v) merges = walk.strides[walk.rank - 1][v] == views[v]->strides[d] * size;
    if (!merges) walk.shape[walk.rank++] = 1;
    walk.shape[walk.rank - 1] *= size;
    for (int v = 0; v < kViews; ++v) walk.strides[walk.rank - 1][v] = views[v]->strides[d];
  }
  if (walk.rank == 0) {
    walk.rank = 1;
    walk.shape[0] = 1;
    for (int v = 0; v < kViews; ++v) walk.strides[0][v] = 1;
  }
  return walk;
}

/// Sizes of a contiguous view seen as rows of its last dimension.
inline std::int64_t row_length(const TensorView& view) { return view.rank == 0 ? 1 : view.shape[view.rank - 1]; }
inline std::int64_t row_count(const TensorView& view) {
  const std::int64_t d = row_length(view);
  return d == 0 ? 0 : view.numel() / d;
}

}  // namespace orrery::gpu
