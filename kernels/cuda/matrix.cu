#include <algorithm>
#include <utility>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matrix.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

// Whether rows are contiguous lines (else columns are). A matrix of one row or column may have any stride there.
bool by_rows(const MatrixView& x) {
  return (x.column_stride == 1 || x.columns == 1) && (x.row_stride >= x.columns || x.rows == 1);
}

// Elements from one line to the next; at least a line's length.
std::int64_t line_stride(const MatrixView& x) {
  const bool rows = by_rows(x);
  const std::int64_t lines = rows ? x.rows : x.columns, length = rows ? x.columns : x.rows;
  return lines == 1 ? length : std::max(length, rows ? x.row_stride : x.column_stride);
}

struct RoundLines {
  const float* x;
  BFloat16* y;
  std::int64_t length, stride;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [line, at] = divided(i, length);
    y[i] = from_float<BFloat16>(x[line * stride + at]);
  }
};

}  // namespace

MatrixView matrix_of(const TensorView& view, int row, int column, std::int64_t offset) {
  auto* data = static_cast<unsigned char*>(view.data) + offset * size_of(view.dtype);
  return {data, view.dtype, view.shape[row], view.shape[column], view.strides[row], view.strides[column]};
}

bool is_matrix(const TensorView& view, int row, int column) {
  const MatrixView x = matrix_of(view, row, column, 0);
  MatrixView turned = x;
  std::swap(turned.rows, turned.columns);
  std::swap(turned.row_stride, turned.column_stride);
  return by_rows(x) || by_rows(turned);
}

MatrixView rounded_like(const MatrixView& a, const MatrixView& b) {
  if (a.dtype == b.dtype) return b;
  MatrixView result = b;
  const bool rows = by_rows(b);
  const std::int64_t length = rows ? b.columns : b.rows, count = b.rows * b.columns;
  auto* copy = static_cast<BFloat16*>(scratch(kScratchCast, count * std::int64_t{sizeof(BFloat16)}));
  launch_each("matmul", count, RoundLines{static_cast<const float*>(b.data), copy, length, line_stride(b)});
  result.data = copy;
  result.dtype = DType::bf16;
  result.row_stride = rows ? length : 1;
  result.column_stride = rows ? 1 : length;
  return result;
}

bool is_dense_stack(const TensorView& stack) {
  const bool lines = (stack.strides[2] == 1 && stack.strides[1] == stack.shape[2]) ||
                     (stack.strides[1] == 1 && stack.strides[2] == stack.shape[1]);
  return lines && stack.strides[0] == stack.shape[1] * stack.shape[2];
}

TensorView stack_like(DType dtype, const TensorView& stack) {
  if (stack.dtype == dtype || !is_dense_stack(stack)) return stack;
  const std::int64_t count = stack.numel();
  auto* copy = static_cast<BFloat16*>(scratch(kScratchCast, count * std::int64_t{sizeof(BFloat16)}));
  launch_each("matmul", count, RoundLines{static_cast<const float*>(stack.data), copy, count, count});
  TensorView rounded = stack;
  rounded.data = copy;
  rounded.dtype = DType::bf16;
  return rounded;
}

bool multiply(const MatrixView& a, const MatrixView& b, const MatrixView& c, bool accumulate) {
  BlasProduct product;
  product.m = c.columns;
  product.n = c.rows;
  product.k = a.columns;
  product.a = b.data;
  product.b = a.data;
  product.c = c.data;
  product.ab_type = a.dtype;
  product.c_type = c.dtype;
  // A line-by-row matrix read column by column is its own transpose, which is what Cᵀ = Bᵀ·Aᵀ asks for.
  product.transpose_a = !by_rows(b);
  product.transpose_b = !by_rows(a);
  product.lda = line_stride(b);
  product.ldb = line_stride(a);
  product.ldc = c.rows == 1 ? c.columns : c.row_stride;
  product.accumulate = accumulate;
  return blas_product(product);
}

}  // namespace orrery::gpu
