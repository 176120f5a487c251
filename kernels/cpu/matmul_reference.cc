// The plain-loop references of the matrix products: f64 sums in the order of k.
#include <cmath>

#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

struct Matrix {
  const TensorView& view;
  std::int64_t offset, row_stride, column_stride;
  bool round = false;  ///< f32 weights beside bf16 activations take part as bf16
  double at(std::int64_t row, std::int64_t column) const {
    const double value = load(view, offset + row * row_stride + column * column_stride);
    return round ? double{to_float(from_float<BFloat16>(static_cast<float>(value)))} : value;
  }
};

double dot(const Matrix& a, const Matrix& b, std::int64_t row, std::int64_t column, std::int64_t first,
           std::int64_t last) {
  double sum = 0;
  for (std::int64_t k = first; k < last; ++k) sum += a.at(row, k) * b.at(k, column);
  return sum;
}

void matmul_reference(const MatmulArgs& args) {
  const int rank = args.c.rank, row = rank - 2, column = rank - 1;
  const std::int64_t m = args.c.shape[row], n = args.c.shape[column], k = args.a.shape[column];
  for (Odometer batch(args.c, rank - 2); !batch.done; batch.next()) {
    const Matrix a{args.a, batch.offset(args.a), args.a.strides[row], args.a.strides[column]};
    const Matrix b{args.b, batch.offset(args.b), args.b.strides[row], args.b.strides[column],
                   args.a.dtype != args.b.dtype};
    const std::int64_t c = batch.offset(args.c);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t at = c + i * args.c.strides[row] + j * args.c.strides[column];
        const double product = dot(a, b, i, j, 0, k);
        store(args.c, at,
              activate(args.activation, product + (args.bias ? load(args.bias, j * args.bias.strides[0]) : 0.0) +
                                            (args.accumulate ? load(args.c, at) : 0.0)));
      }
  }
}

void grouped_matmul_reference(const GroupedMatmulArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const Matrix a{args.a, 0, args.a.strides[0], args.a.strides[1]};
  for (std::int64_t expert = 0; expert < args.b.shape[0]; ++expert) {
    const Matrix b{args.b, expert * args.b.strides[0], args.b.strides[1], args.b.strides[2],
                   args.a.dtype != args.b.dtype};
    for (std::int64_t i = offsets[expert]; i < offsets[expert + 1]; ++i)
      for (std::int64_t j = 0; j < args.c.shape[1]; ++j)
        store(args.c, i * args.c.strides[0] + j * args.c.strides[1], dot(a, b, i, j, 0, args.a.shape[1]));
  }
}

void grouped_matmul_weight_grad_reference(const GroupedMatmulWeightGradArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const Matrix a{args.a, 0, args.a.strides[1], args.a.strides[0]};  // transposed: [k, rows]
  const Matrix b{args.b, 0, args.b.strides[0], args.b.strides[1]};
  for (std::int64_t expert = 0; expert < args.c.shape[0]; ++expert)
    for (std::int64_t i = 0; i < args.c.shape[1]; ++i)
      for (std::int64_t j = 0; j < args.c.shape[2]; ++j) {
        const std::int64_t at = expert * args.c.strides[0] + i * args.c.strides[1] + j * args.c.strides[2];
        store(args.c, at,
              dot(a, b, i, j, offsets[expert], offsets[expert + 1]) + (args.accumulate ? load(args.c, at) : 0.0));
      }
}

}  // namespace

void add_matmul_references() {
  add_kernel<MatmulArgs>(Device::cpu, "reference", matmul_reference);
  add_kernel<GroupedMatmulArgs>(Device::cpu, "reference", grouped_matmul_reference);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cpu, "reference", grouped_matmul_weight_grad_reference);
}

}  // namespace orrery
