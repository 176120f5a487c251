// Operands copied before a product: widened to f32 on machines without bf16 instructions, or brought together. The
// thread that uses them copies them into memory that it keeps, so that they stay in its cache and no page is mapped
// afresh.
#include "kernels/cpu/arena.h"
#include "kernels/cpu/convert_rows.h"
#include "kernels/cpu/onednn_cache.h"
#include "kernels/cpu/parallel.h"

namespace orrery::onednn {

namespace {

// A matrix stored by columns is handled as its transpose, whose rows lie contiguously in memory.
bool stored_turned(const Matrix& matrix, std::int64_t columns) { return matrix.column_stride != 1 && columns != 1; }

RowBlock rows_from(const Matrix& matrix, bool turned, std::int64_t batch, std::int64_t row) {
  const std::int64_t stride = turned ? matrix.column_stride : matrix.row_stride;
  const std::int64_t at = batch * matrix.batch_stride + row * stride;
  return {static_cast<std::byte*>(matrix.data) + at * size_of(matrix.dtype), matrix.dtype, stride};
}

// A dense f32 matrix in the order of `like`, at `room`.
Matrix dense_like(const Matrix& like, std::int64_t rows, std::int64_t columns, float* room) {
  const bool turned = stored_turned(like, columns);
  return {room, DType::f32, like.batch_stride == 0 ? 0 : rows * columns, turned ? 1 : columns, turned ? rows : 1};
}

// `to` came from dense_like, or is what `from` was made like.
void copy(const Matrix& from, const Matrix& to, std::int64_t batch, std::int64_t rows, std::int64_t columns,
          bool turned, bool round) {
  const std::int64_t runs = turned ? columns : rows, length = turned ? rows : columns;
  for (std::int64_t b = 0; b < batch; ++b)
    parallel_blocks(runs, 1 + (1 << 15) / length, [&](std::int64_t begin, std::int64_t end) {
      convert_rows(rows_from(from, turned, b, begin), rows_from(to, turned, b, begin), end - begin, length, round);
    });
}

}  // namespace

bool must_widen(const Gemm& product) {
  const bool half = product.a.dtype == DType::bf16 || product.b.dtype == DType::bf16 || product.c.dtype == DType::bf16;
  return half && !native_bf16();
}

Matrix widened_shared(const Matrix& matrix, std::int64_t rows, std::int64_t columns, bool round) {
  static thread_local Arena arena;
  arena.reset(rows * columns);
  const Matrix wide = dense_like(matrix, rows, columns, arena.take(rows * columns));
  copy(matrix, wide, 1, rows, columns, stored_turned(matrix, columns), round);
  return wide;
}

void with_copies(const Gemm& product, Copies copies, void (*run)(const Gemm&)) {
  static thread_local Arena arena;
  const std::int64_t batch = product.batch, m = product.m, n = product.n, k = product.k;
  const auto half = [](const Matrix& matrix) { return matrix.dtype == DType::bf16; };
  const auto apart = [&](const Matrix& matrix, std::int64_t rows, std::int64_t columns) {
    if (!copies.together) return false;
    return stored_turned(matrix, columns) ? matrix.column_stride > rows : matrix.row_stride > columns;
  };
  const bool wide_a = half(product.a) || apart(product.a, m, k),
             wide_b = half(product.b) || copies.round_b || apart(product.b, k, n), wide_c = half(product.c);
  const std::int64_t a_batch = product.a.batch_stride == 0 ? 1 : batch,
                     b_batch = product.b.batch_stride == 0 ? 1 : batch;
  arena.reset((wide_a ? a_batch * m * k : 0) + (wide_b ? b_batch * k * n : 0) + (wide_c ? batch * m * n : 0));
  Gemm wide = product;
  const auto widen = [&](Matrix& matrix, std::int64_t count, std::int64_t rows, std::int64_t columns, bool round) {
    const Matrix from = matrix;
    matrix = dense_like(from, rows, columns, arena.take(count * rows * columns));
    copy(from, matrix, count, rows, columns, stored_turned(from, columns), round);
  };
  if (wide_a) widen(wide.a, a_batch, m, k, false);
  if (wide_b) widen(wide.b, b_batch, k, n, copies.round_b);
  if (wide_c && product.accumulate) widen(wide.c, batch, m, n, false);
  if (wide_c && !product.accumulate) wide.c = dense_like(product.c, m, n, arena.take(batch * m * n));
  run(wide);
  if (wide_c) copy(wide.c, product.c, batch, m, n, stored_turned(product.c, n), false);
}

}  // namespace orrery::onednn
