// Row-major products in the terms of BLAS, which is column-major: Cᵀ = Bᵀ·Aᵀ.
#pragma once

#include "kernels/api/types.h"

namespace orrery::gpu {

/// One matrix in device memory.
struct MatrixView {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t rows = 0, columns = 0, row_stride = 0, column_stride = 0;
};

/// Dimensions `row` and `column` of a view, `offset` elements from its first.
MatrixView matrix_of(const TensorView& view, int row, int column, std::int64_t offset);

/// Whether one of the two strides is 1 and lines do not overlap, as BLAS wants it.
bool is_matrix(const TensorView& view, int row, int column);

/// b itself, or in a's bf16 where b is f32. The copy lives until the next call.
MatrixView rounded_like(const MatrixView& a, const MatrixView& b);

/// Whether a stack of matrices [E, rows, columns] has no gaps, whichever of the two dimensions is contiguous.
bool is_dense_stack(const TensorView& stack);

/// A stack of matrices [E, rows, columns] in `dtype`, rounded all at once where it is f32 and has no gaps; else itself.
/// The copy lives until the next call.
TensorView stack_like(DType dtype, const TensorView& stack);

/// c = a·b (+ c); c's rows are contiguous. False when BLAS has no kernel for it.
bool multiply(const MatrixView& a, const MatrixView& b, const MatrixView& c, bool accumulate);

}  // namespace orrery::gpu
