// oneDNN's products and convolutions without its types. Primitives are made once a shape and kept in a bounded cache.
// Every function may be called from inside a parallel region; it then runs on the calling thread alone.
#pragma once

#include <cstdint>

#include "kernels/api/matmul.h"

namespace orrery::onednn {

/// True when products of bf16 run on the machine's own bf16 instructions.
bool native_bf16();

/// One operand: `batch` matrices of rows × columns. One of row_stride and column_stride is 1.
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t batch_stride = 0;  ///< elements; 0: the same matrix for the whole batch
  std::int64_t row_stride = 0, column_stride = 1;
};

/// C[i] = activation(A[i]·B[i] + bias [+ C[i]]), i < batch.
struct Gemm {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;  ///< all > 0
  Matrix a, b, c;
  const float* bias = nullptr;
  Activation activation = Activation::none;
  bool accumulate = false;
};

/// B may be f32 where A is bf16: it is rounded and brought into oneDNN's own order first. On a machine without bf16
/// instructions bf16 operands are widened piece by piece and multiplied in f32.
/// The product is cut into pieces by its shape alone and each piece is run by one thread, so the result does not depend
/// on the number of threads. Throws std::runtime_error when oneDNN has no such product.
void gemm(const Gemm& product);

/// The same with one primitive on the calling thread: for many small products inside of a parallel region. `batch` is 1
/// and A and B have one dtype, or, where native_bf16() is false, either one is f32.
void gemm_here(const Gemm& product);

/// Primitives held at the moment, for tests of the bound.
std::int64_t cached_primitives();
inline constexpr std::int64_t kMostPrimitives = 2048;

}  // namespace orrery::onednn
