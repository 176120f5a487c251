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

struct ColumnSum {
  static constexpr int kColumns = 32, kThreads = 256, kSlices = kThreads / kColumns;
  const float* partial;
  std::int64_t parts, stride, columns;
  float* out;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    double* sums = reinterpret_cast<double*>(block.memory);  // [slices][columns]
    const int slice = block.thread / kColumns;
    const std::int64_t c = block.index * kColumns + block.thread % kColumns;
    double sum = 0;
    if (c < columns)
      for (std::int64_t p = slice; p < parts; p += kSlices) sum += static_cast<double>(partial[p * stride + c]);
    sums[block.thread] = sum;
    block.sync();
    if (slice > 0 || c >= columns) return;
    for (int other = 1; other < kSlices; ++other) sum += sums[other * kColumns + block.thread];
    out[c] = static_cast<float>(sum);
  }
};

/// out[c] = Σ over parts of partial[part · stride + c] for c below `columns`, in an order that depends on the parts
/// alone.
inline void sum_columns(const char* op, const float* partial, std::int64_t parts, std::int64_t stride,
                        std::int64_t columns, float* out) {
  launch_blocks(op, (columns + ColumnSum::kColumns - 1) / ColumnSum::kColumns, ColumnSum::kThreads,
                ColumnSum::kThreads * std::int64_t{sizeof(double)}, ColumnSum{partial, parts, stride, columns, out});
}

/// Into how many parts `rows` rows are cut for sums over all of them: a function of the rows alone.
inline std::int64_t row_parts(std::int64_t rows) { return std::clamp<std::int64_t>((rows + 31) / 32, 1, 512); }

}  // namespace orrery::gpu
