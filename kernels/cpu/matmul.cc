// Matrix products through oneDNN.
#include "kernels/api/matmul.h"

#include <vector>

#include "kernels/api/bfloat16.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

using onednn::Gemm;
using onednn::Matrix;

bool floating(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

// One of the last two strides is 1 and the other one leaves room for a row (sizes of 1 are free).
bool dense_rows(const TensorView& view) {
  const std::int64_t rows = view.shape[view.rank - 2], columns = view.shape[view.rank - 1];
  const std::int64_t row = view.strides[view.rank - 2], column = view.strides[view.rank - 1];
  const bool by_row = (column == 1 || columns == 1) && (row >= columns || rows == 1);
  const bool by_column = (row == 1 || rows == 1) && (column >= rows || columns == 1);
  return by_row || by_column;
}

const char* layout_reason(const MatmulArgs& args) {
  if (!floating(args.a.dtype) || !floating(args.b.dtype) || !floating(args.c.dtype))
    return "dtype is neither f32 nor bf16";
  if (args.a.dtype == DType::f32 && (args.b.dtype != DType::f32 || args.c.dtype != DType::f32))
    return "f32 times f32 gives f32 only";
  if (args.a.shape[args.a.rank - 1] == 0) return "k is 0";
  if (!dense_rows(args.a) || !dense_rows(args.b) || !dense_rows(args.c))
    return "neither rows nor columns are contiguous";
  return nullptr;
}

Matrix matrix_of(const TensorView& view) {
  Matrix matrix;
  matrix.data = view.data;
  matrix.dtype = view.dtype;
  matrix.row_stride = view.strides[view.rank - 2];
  matrix.column_stride = view.strides[view.rank - 1];
  // A stride along a single element says nothing; oneDNN wants one that leaves room.
  if (view.shape[view.rank - 1] == 1 && matrix.row_stride != 1) matrix.column_stride = 1;
  if (view.shape[view.rank - 2] == 1 && matrix.column_stride != 1) matrix.row_stride = 1;
  return matrix;
}

// A batch dimension shared by the three operands.
struct BatchDim {
  std::int64_t size, a, b, c;
};

// The batch dimensions, neighbours merged where all three operands step evenly through both.
std::vector<BatchDim> batch_dims(const MatmulArgs& args) {
  std::vector<BatchDim> dims;
  for (int d = 0; d < args.c.rank - 2; ++d) {
    const std::int64_t size = args.c.shape[d];
    if (size == 1) continue;
    const BatchDim dim{size, args.a.strides[d], args.b.strides[d], args.c.strides[d]};
    if (!dims.empty()) {
      BatchDim& last = dims.back();
      if (last.a == dim.a * size && last.b == dim.b * size && last.c == dim.c * size) {
        last = {last.size * size, dim.a, dim.b, dim.c};
        continue;
      }
    }
    dims.push_back(dim);
  }
  return dims;
}

void* advance(const Matrix& matrix, std::int64_t elements) {
  return static_cast<std::byte*>(matrix.data) + elements * size_of(matrix.dtype);
}

// Calls run(Gemm) for each product that one oneDNN call can do.
template <class Run>
void for_each_gemm(const MatmulArgs& args, const Run& run) {
  const int row = args.c.rank - 2, column = args.c.rank - 1;
  Gemm whole;
  whole.m = args.c.shape[row];
  whole.n = args.c.shape[column];
  whole.k = args.a.shape[column];
  whole.a = matrix_of(args.a);
  whole.b = matrix_of(args.b);
  whole.c = matrix_of(args.c);
  whole.bias = args.bias.as<const float>();
  whole.activation = args.activation;
  whole.accumulate = args.accumulate;
  std::vector<BatchDim> dims = batch_dims(args);
  if (!dims.empty()) {
    const BatchDim& inner = dims.back();
    whole.batch = inner.size;
    whole.a.batch_stride = inner.a;
    whole.b.batch_stride = inner.b;
    whole.c.batch_stride = inner.c;
    dims.pop_back();
  }
  std::int64_t outer = 1;
  for (const BatchDim& dim : dims) outer *= dim.size;
  const auto one = [&](std::int64_t index) {
    Gemm part = whole;
    for (std::size_t d = dims.size(); d-- > 0;) {
      const std::int64_t at = index % dims[d].size;
      index /= dims[d].size;
      part.a.data = advance(part.a, at * dims[d].a);
      part.b.data = advance(part.b, at * dims[d].b);
      part.c.data = advance(part.c, at * dims[d].c);
    }
    run(part);
  };
  for (std::int64_t index = 0; index < outer; ++index) one(index);
}

void matmul_onednn(const MatmulArgs& args) {
  if (args.c.numel() == 0) return;
  for_each_gemm(args, onednn::gemm);
}

}  // namespace

void add_matmul_kernels() {
  add_kernel<MatmulArgs>(Device::cpu, "onednn", matmul_onednn, layout_reason);
  add_matmul_references();
}

}  // namespace orrery
