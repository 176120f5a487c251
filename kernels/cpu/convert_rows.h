// Blocks of rows between f32 and bf16.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// A block of f32 or bf16 rows, `stride` elements apart; a row is contiguous.
struct RowBlock {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t stride = 0;
};

/// to = from, rows × columns, on the calling thread. With `round`, f32 values that stay f32 are rounded to bf16's grid.
void convert_rows(const RowBlock& from, const RowBlock& to, std::int64_t rows, std::int64_t columns,
                  bool round = false);

}  // namespace orrery
