// Sums and maxima over a warp and over a block, always in the same order. Every thread gets the result.
#pragma once

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

struct Plus {
  template <class T>
  ORRERY_ON_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
/// A NaN on either side stays.
struct Larger {
  template <class T>
  ORRERY_ON_DEVICE T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};

template <class T, class Op>
ORRERY_ON_DEVICE T warp_reduce(T value, Op op) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value = op(value, shuffle_xor(value, mask));
  return value;
}

/// Bytes of shared memory that block_reduce wants at its `place` (16-byte aligned).
inline constexpr std::int64_t kReduceBytes = sizeof(double) * (kMaxThreads / kWarp);

template <class T, class Op>
ORRERY_ON_DEVICE T block_reduce(const Block& block, T value, Op op, unsigned char* place) {
  T* parts = reinterpret_cast<T*>(place);
  value = warp_reduce(value, op);
  block.sync();  // the place may still be read from before
  if (block.lane() == 0) parts[block.warp()] = value;
  block.sync();
  T result = parts[0];
  for (int w = 1; w < block.warps(); ++w) result = op(result, parts[w]);
  return result;
}

template <class T>
ORRERY_ON_DEVICE T block_sum(const Block& block, T value, unsigned char* place) {
  return block_reduce(block, value, Plus(), place);
}
template <class T>
ORRERY_ON_DEVICE T block_max(const Block& block, T value, unsigned char* place) {
  return block_reduce(block, value, Larger(), place);
}

}  // namespace orrery::gpu
