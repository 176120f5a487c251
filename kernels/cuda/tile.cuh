// A 64 × 64 tile of a matrix product by 256 threads, for operands of any strides: what cuBLASLt does not take.
#pragma once

#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

inline constexpr int kTile = 64, kTileDepth = 16, kTileThreads = 256;
inline constexpr std::int64_t kTileBytes = 2 * kTileDepth * kTile * std::int64_t{sizeof(float)};

/// A matrix in memory; beyond its rows and columns it is 0.
struct TileOperand {
  Values values;
  std::int64_t offset = 0, row_stride = 0, column_stride = 0, rows = 0, columns = 0;
  bool round = false;  ///< f32 weights beside bf16 activations take part as bf16

  ORRERY_ON_DEVICE float at(std::int64_t row, std::int64_t column) const {
    if (row >= rows || column >= columns) return 0;
    const float value = values.load<float>(offset + row * row_stride + column * column_stride);
    return round ? to_float(from_float<BFloat16>(value)) : value;
  }
};

/// sums[i][j] += Σ_k a[row + 4·(thread / 16) + i, k] · b[k, column + 4·(thread % 16) + j].
ORRERY_ON_DEVICE void add_tile_product(const Block& block, const TileOperand& a, const TileOperand& b, std::int64_t row,
                                       std::int64_t column, float (&sums)[4][4]) {
  auto* left = reinterpret_cast<float*>(block.memory);  // [depth][row]
  float* right = left + kTileDepth * kTile;             // [depth][column]
  const int my_row = block.thread / 16 * 4, my_column = block.thread % 16 * 4;
  for (std::int64_t first = 0; first < a.columns; first += kTileDepth) {
    for (int i = block.thread; i < kTile * kTileDepth; i += kTileThreads) {
      // Neighbouring threads on neighbouring elements of memory.
      const bool along_k = a.column_stride == 1;
      const int r = along_k ? i / kTileDepth : i % kTile, k = along_k ? i % kTileDepth : i / kTile;
      left[k * kTile + r] = a.at(row + r, first + k);
      const bool along_n = b.column_stride == 1;
      const int c = along_n ? i % kTile : i / kTileDepth, d = along_n ? i / kTile : i % kTileDepth;
      right[d * kTile + c] = b.at(first + d, column + c);
    }
    block.sync();
    for (int k = 0; k < kTileDepth; ++k)
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sums[i][j] += left[k * kTile + my_row + i] * right[k * kTile + my_column + j];
    block.sync();
  }
}

}  // namespace orrery::gpu
