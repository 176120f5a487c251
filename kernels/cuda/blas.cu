// Matrix products through cuBLASLt. The algorithm that its heuristic ranks first is kept for each shape.
#include <cublasLt.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string("[matmul] cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

cublasLtHandle_t handle() {
  static const cublasLtHandle_t instance = [] {
    cublasLtHandle_t made = nullptr;
    check_blas(cublasLtCreate(&made), "create");
    return made;
  }();
  return instance;
}

cudaDataType_t type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// The heuristic must know what a pointer is a multiple of: it assumes 256 bytes.
std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  std::uint32_t alignment = 256;
  while (alignment > 1 && address % alignment != 0) alignment /= 2;
  return alignment;
}

using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, int, int,
                       int, int, std::uint32_t, std::uint32_t, std::uint32_t>;

// What cuBLASLt keeps of a shape.
struct Plan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;
};

Plan make_plan(const BlasProduct& p) {
  Plan plan;
  check_blas(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
  const cublasOperation_t op_a = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                          op_b = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  check_blas(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a), "op");
  check_blas(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b), "op");
  const auto layout = [](cublasLtMatrixLayout_t* made, DType dtype, std::int64_t rows, std::int64_t columns,
                         std::int64_t ld) {
    check_blas(cublasLtMatrixLayoutCreate(made, type_of(dtype), static_cast<std::uint64_t>(rows),
                                          static_cast<std::uint64_t>(columns), ld),
               "layout");
  };
  layout(&plan.a, p.ab_type, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda);
  layout(&plan.b, p.ab_type, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb);
  layout(&plan.c, p.c_type, p.m, p.n, p.ldc);
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference), "preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), "preference");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.c));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.c));
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle(), plan.operation, plan.a, plan.b, plan.c, plan.c,
                                                               preference, 1, &result, &count);
  plan.found = status == CUBLAS_STATUS_SUCCESS && count > 0;
  plan.algorithm = result.algo;
  check_blas(cublasLtMatmulPreferenceDestroy(preference), "preference");
  return plan;
}

// Kept for the program's life.
const Plan& plan_of(const BlasProduct& p) {
  static auto* plans = new std::map<Key, Plan>;
  const int types = static_cast<int>(p.ab_type) * 16 + static_cast<int>(p.c_type);
  const Key key{p.m,
                p.n,
                p.k,
                p.lda,
                p.ldb,
                p.ldc,
                types,
                p.transpose_a ? 1 : 0,
                p.transpose_b ? 1 : 0,
                p.accumulate ? 1 : 0,
                alignment_of(p.a),
                alignment_of(p.b),
                alignment_of(p.c)};
  const auto found = plans->find(key);
  return found != plans->end() ? found->second : plans->emplace(key, make_plan(p)).first->second;
}

}  // namespace

bool blas_product(const BlasProduct& p) {
  const Plan& plan = plan_of(p);
  if (!plan.found) return false;
  void* workspace = scratch(kScratchBlas, static_cast<std::int64_t>(kWorkspace));
  const Timed timed("cublaslt", "");
  const float alpha = 1, beta = p.accumulate ? 1.0f : 0.0f;
  check_blas(cublasLtMatmul(handle(), plan.operation, &alpha, p.a, plan.a, p.b, plan.b, &beta, p.c, plan.c, p.c, plan.c,
                            &plan.algorithm, workspace, kWorkspace, stream()),
             "product");
  return true;
}

}  // namespace orrery::gpu
