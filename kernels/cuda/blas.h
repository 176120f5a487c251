// One product as BLAS knows it. blas.cc gives it to cuBLASLt; the tests' CPU twin carries it out in plain loops.
#pragma once

#include <cstdint>

#include "kernels/api/types.h"

namespace orrery::gpu {

/// Column-major C[m, n] = op(A)·op(B) (+ C), op(A) [m, k], op(B) [k, n]; sums in f32.
struct BlasProduct {
  std::int64_t m = 0, n = 0, k = 0;
  const void *a = nullptr, *b = nullptr;
  void* c = nullptr;
  DType ab_type = DType::f32;  ///< of A and B: f32 or bf16
  DType c_type = DType::f32;   ///< f32, or bf16 like A and B
  bool transpose_a = false, transpose_b = false;
  std::int64_t lda = 0, ldb = 0, ldc = 0;  ///< elements from one column to the next
  bool accumulate = false;
};

/// False when the library has no kernel for it.
bool blas_product(const BlasProduct& product);

}  // namespace orrery::gpu
