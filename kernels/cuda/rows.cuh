// A warp a row, and sums down columns.
#pragma once

#include <algorithm>

#include "kernels/cuda/block.cuh"

namespace orrery::gpu {

template <class Kernel>
struct WarpRows {
  Kernel kernel;
  std::int64_t rows, bytes;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t row = block.index * block.warps() + block.warp();
    if (row < rows) kernel(row, block.lane(), block.memory + block.warp() * bytes);
  }
};

/// kernel(row, lane, memory) by the 32 lanes of a warp for each row; the lanes share `bytes` (a multiple of 16) of
/// memory. A kernel may exchange between lanes; between writing and reading the memory it calls warp_sync().
template <class Kernel>
void launch_rows(const char* op, std::int64_t rows, std::int64_t bytes, const Kernel& kernel) {
  int warps = 4;
  while (warps > 1 && bytes * warps > 48 * 1024) warps /= 2;
  launch_blocks(op, (rows + warps - 1) / warps, warps * kWarp, bytes * warps, WarpRows<Kernel>{kernel, rows, bytes});
}

template <class T>
ORRERY_ON_DEVICE T warp_sum(T value) {
  return warp_reduce(value, Plus());
}
template <class T>
ORRERY_ON_DEVICE T warp_max(T value) {
  return warp_reduce(value, Larger());
}

/// out[c] = Σ over parts of partial[part · stride + c], in the order of the parts.
struct ColumnSum {
  const float* partial;
  std::int64_t parts, stride;
  float* out;
  ORRERY_ON_DEVICE void operator()(std::int64_t c) const {
    double sum = 0;
    for (std::int64_t p = 0; p < parts; ++p) sum += static_cast<double>(partial[p * stride + c]);
    out[c] = static_cast<float>(sum);
  }
};

/// Into how many parts `rows` rows are cut for sums over all of them: a function of the rows alone.
inline std::int64_t row_parts(std::int64_t rows) { return std::clamp<std::int64_t>((rows + 31) / 32, 1, 512); }

}  // namespace orrery::gpu
