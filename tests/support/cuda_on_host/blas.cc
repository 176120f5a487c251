// kernels/cuda/blas.h in plain loops.
#include "kernels/cuda/blas.h"

#include "kernels/api/bfloat16.h"
#include "tests/support/cuda_on_host/team.h"

namespace orrery::gpu {

namespace {

float at(const void* data, DType dtype, std::int64_t i) {
  return dtype == DType::bf16 ? to_float(static_cast<const BFloat16*>(data)[i]) : static_cast<const float*>(data)[i];
}

}  // namespace

bool blas_product(const BlasProduct& p) {
  const on_host::Running running("blas", 1, 32, 0);
  const bool mixed = p.ab_type == DType::f32 && p.c_type == DType::bf16;
  if (mixed || p.m <= 0 || p.n <= 0 || p.k <= 0) on_host::stop("a product that cuBLASLt would refuse");
  if (p.lda < (p.transpose_a ? p.k : p.m) || p.ldb < (p.transpose_b ? p.n : p.k) || p.ldc < p.m)
    on_host::stop("a leading dimension shorter than a column");
  for (std::int64_t j = 0; j < p.n; ++j)
    for (std::int64_t i = 0; i < p.m; ++i) {
      double sum = 0;
      for (std::int64_t l = 0; l < p.k; ++l)
        sum += double{at(p.a, p.ab_type, p.transpose_a ? i * p.lda + l : l * p.lda + i)} *
               double{at(p.b, p.ab_type, p.transpose_b ? l * p.ldb + j : j * p.ldb + l)};
      const std::int64_t to = j * p.ldc + i;
      if (p.accumulate) sum += double{at(p.c, p.c_type, to)};
      if (p.c_type == DType::bf16)
        static_cast<BFloat16*>(p.c)[to] = from_float<BFloat16>(static_cast<float>(sum));
      else
        static_cast<float*>(p.c)[to] = static_cast<float>(sum);
    }
  return true;
}

}  // namespace orrery::gpu
