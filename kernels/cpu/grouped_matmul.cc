// The grouped products of a mixture of experts through oneDNN: one product an expert, experts in parallel.
//   onednn      operands as they come
//   onednn_f32  bf16 operands widened to f32 first, for machines without bf16 instructions
// A primitive belongs to one number of rows, and routing gives other numbers each step. So a product runs over the rows
// rounded down to a multiple of kUnit, and the last rows go through a padded buffer of kUnit: few primitives serve all.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/api/bfloat16.h"
#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

using onednn::Gemm;
using onednn::Matrix;

constexpr std::int64_t kUnit = 32;

std::byte* at(const TensorView& view, std::int64_t elements) {
  return static_cast<std::byte*>(view.data) + elements * size_of(view.dtype);
}

bool rows_contiguous(const TensorView& view) {
  return view.shape[1] <= 1 || (view.strides[1] == 1 && view.strides[0] >= view.shape[1]);
}

const char* operand_reason(const TensorView& a, const TensorView& b, const TensorView& c) {
  const auto floating = [](const TensorView& view) { return view.dtype == DType::f32 || view.dtype == DType::bf16; };
  if (!floating(a) || !floating(b) || !floating(c)) return "dtype is neither f32 nor bf16";
  if (a.dtype == DType::f32 && (b.dtype != DType::f32 || c.dtype != DType::f32)) return "f32 times f32 gives f32 only";
  return nullptr;
}

const char* native_reason(const TensorView& a) {
  return a.dtype == DType::bf16 && !onednn::native_bf16() ? "no bf16 instructions" : nullptr;
}

const char* grouped_reason(const GroupedMatmulArgs& args) {
  if (const char* reason = operand_reason(args.a, args.b, args.c)) return reason;
  if (args.a.shape[1] == 0 || args.c.shape[1] == 0) return "k or n is 0";
  if (!rows_contiguous(args.a) || !rows_contiguous(args.c)) return "rows are not contiguous";
  const std::int64_t k = args.b.shape[1], n = args.b.shape[2], row = args.b.strides[1], column = args.b.strides[2];
  if (!(column == 1 && row >= n) && !(row == 1 && column >= k)) return "an expert's weights are not contiguous";
  return nullptr;
}

const char* weight_grad_reason(const GroupedMatmulWeightGradArgs& args) {
  if (const char* reason = operand_reason(args.a, args.b, args.c)) return reason;
  if (args.a.dtype != args.b.dtype) return "operands of two dtypes";
  if (args.a.shape[1] == 0 || args.b.shape[1] == 0) return "k or n is 0";
  if (!rows_contiguous(args.a) || !rows_contiguous(args.b) || !args.c.contiguous()) return "rows are not contiguous";
  return nullptr;
}

// Rows [first, last) of a view, then zeros up to kUnit rows.
void copy_padded(const TensorView& view, std::int64_t first, std::int64_t last, std::byte* out) {
  const auto width = static_cast<std::size_t>(view.shape[1] * size_of(view.dtype));
  for (std::int64_t r = first; r < last; ++r)
    std::memcpy(out + static_cast<std::size_t>(r - first) * width, at(view, r * view.strides[0]), width);
  std::memset(out + static_cast<std::size_t>(last - first) * width, 0,
              static_cast<std::size_t>(kUnit - (last - first)) * width);
}

// Experts by falling number of rows: the long ones start first.
std::vector<std::int64_t> by_size(const std::int32_t* offsets, std::int64_t experts) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(experts));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t x, std::int64_t y) {
    return offsets[x + 1] - offsets[x] > offsets[y + 1] - offsets[y];
  });
  return order;
}

void grouped_expert(const GroupedMatmulArgs& args, std::int64_t expert, std::int64_t first, std::int64_t last) {
  static thread_local Arena arena;
  const std::int64_t k = args.a.shape[1], n = args.c.shape[1];
  const std::int64_t whole = first + (last - first) / kUnit * kUnit;
  Gemm product;
  product.n = n;
  product.k = k;
  product.a = {at(args.a, first * args.a.strides[0]), args.a.dtype, 0, args.a.strides[0], 1};
  product.b = {at(args.b, expert * args.b.strides[0]), args.b.dtype, 0, args.b.strides[1], args.b.strides[2]};
  product.c = {at(args.c, first * args.c.strides[0]), args.c.dtype, 0, args.c.strides[0], 1};
  if (whole > first) {
    product.m = whole - first;
    onednn::gemm(product);
  }
  if (whole == last) return;
  arena.reset(kUnit * (k + n));
  auto* rows = arena.take<std::byte>(kUnit * k * size_of(args.a.dtype));
  auto* results = arena.take<std::byte>(kUnit * n * size_of(args.c.dtype));
  copy_padded(args.a, whole, last, rows);
  product.m = kUnit;
  product.a = {rows, args.a.dtype, 0, k, 1};
  product.c = {results, args.c.dtype, 0, n, 1};
  onednn::gemm(product);
  const auto width = static_cast<std::size_t>(n * size_of(args.c.dtype));
  for (std::int64_t r = whole; r < last; ++r)
    std::memcpy(at(args.c, r * args.c.strides[0]), results + static_cast<std::size_t>(r - whole) * width, width);
}

void grouped_matmul(const GroupedMatmulArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const std::vector<std::int64_t> order = by_size(offsets, args.b.shape[0]);
  parallel_tasks(args.b.shape[0], [&](std::int64_t index) {
    const std::int64_t expert = order[static_cast<std::size_t>(index)];
    if (offsets[expert + 1] > offsets[expert]) grouped_expert(args, expert, offsets[expert], offsets[expert + 1]);
  });
}

void weight_grad_expert(const GroupedMatmulWeightGradArgs& args, std::int64_t expert, std::int64_t first,
                        std::int64_t last) {
  static thread_local Arena arena;
  const std::int64_t k = args.a.shape[1], n = args.b.shape[1];
  auto* c = args.c.as<float>() + expert * k * n;
  bool accumulate = args.accumulate;
  if (first == last && !accumulate) std::memset(c, 0, static_cast<std::size_t>(k * n) * sizeof(float));
  const std::int64_t whole = first + (last - first) / kUnit * kUnit;
  Gemm product;
  product.m = k;
  product.n = n;
  product.c = {c, DType::f32, 0, n, 1};
  if (whole > first) {
    product.k = whole - first;
    product.a = {at(args.a, first * args.a.strides[0]), args.a.dtype, 0, 1, args.a.strides[0]};
    product.b = {at(args.b, first * args.b.strides[0]), args.b.dtype, 0, args.b.strides[0], 1};
    product.accumulate = accumulate;
    onednn::gemm(product);
    accumulate = true;
  }
  if (whole == last) return;
  arena.reset(kUnit * (k + n));
  auto* left = arena.take<std::byte>(kUnit * k * size_of(args.a.dtype));
  auto* right = arena.take<std::byte>(kUnit * n * size_of(args.b.dtype));
  copy_padded(args.a, whole, last, left);
  copy_padded(args.b, whole, last, right);
  product.k = kUnit;
  product.a = {left, args.a.dtype, 0, 1, k};
  product.b = {right, args.b.dtype, 0, n, 1};
  product.accumulate = accumulate;
  onednn::gemm(product);
}

void grouped_matmul_weight_grad(const GroupedMatmulWeightGradArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const std::vector<std::int64_t> order = by_size(offsets, args.c.shape[0]);
  parallel_tasks(args.c.shape[0], [&](std::int64_t index) {
    const std::int64_t expert = order[static_cast<std::size_t>(index)];
    weight_grad_expert(args, expert, offsets[expert], offsets[expert + 1]);
  });
}

// Rows [first, last) of a view of bf16 or f32 as f32, then zeros up to `padded` rows. `round`: f32 as bf16 would hold
// it.
void widen_rows(const TensorView& view, std::int64_t first, std::int64_t last, std::int64_t padded, bool round,
                float* out) {
  const std::int64_t width = view.shape[1], column = view.strides[1];
  for (std::int64_t r = first; r < last; ++r, out += width) {
    if (view.dtype == DType::bf16) {
      const BFloat16* row = view.as<const BFloat16>() + r * view.strides[0];
      for (std::int64_t c = 0; c < width; ++c) out[c] = to_float(row[c * column]);
    } else {
      const float* row = view.as<const float>() + r * view.strides[0];
      for (std::int64_t c = 0; c < width; ++c)
        out[c] = round ? to_float(from_float<BFloat16>(row[c * column])) : row[c * column];
    }
  }
  std::fill_n(out, (padded - (last - first)) * width, 0.0f);
}

std::int64_t padded_rows(std::int64_t first, std::int64_t last) { return (last - first + kUnit - 1) / kUnit * kUnit; }

void widened_expert(const GroupedMatmulArgs& args, std::int64_t expert, std::int64_t first, std::int64_t last) {
  static thread_local Arena arena;
  const std::int64_t k = args.a.shape[1], n = args.c.shape[1], rows = padded_rows(first, last);
  TensorView weights = args.b;
  weights.data = at(args.b, expert * args.b.strides[0]);
  weights.rank = 2;
  for (int i = 0; i < 2; ++i) weights.shape[i] = args.b.shape[i + 1], weights.strides[i] = args.b.strides[i + 1];
  arena.reset(rows * (k + n) + k * n);
  float *a = arena.take<float>(rows * k), *b = arena.take<float>(k * n), *c = arena.take<float>(rows * n);
  widen_rows(args.a, first, last, rows, false, a);
  widen_rows(weights, 0, k, k, args.a.dtype == DType::bf16, b);
  Gemm product;
  product.m = rows, product.n = n, product.k = k;
  product.a = {a, DType::f32, 0, k, 1};
  product.b = {b, DType::f32, 0, n, 1};
  product.c = {c, DType::f32, 0, n, 1};
  onednn::gemm(product);
  for (std::int64_t r = first; r < last; ++r) {
    const float* from = c + (r - first) * n;
    std::byte* to = at(args.c, r * args.c.strides[0]);
    for (std::int64_t j = 0; j < n && args.c.dtype == DType::bf16; ++j)
      reinterpret_cast<BFloat16*>(to)[j] = from_float<BFloat16>(from[j]);
    if (args.c.dtype == DType::f32) std::copy_n(from, n, reinterpret_cast<float*>(to));
  }
}

void grouped_matmul_widened(const GroupedMatmulArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const std::vector<std::int64_t> order = by_size(offsets, args.b.shape[0]);
  parallel_tasks(args.b.shape[0], [&](std::int64_t index) {
    const std::int64_t expert = order[static_cast<std::size_t>(index)];
    if (offsets[expert + 1] > offsets[expert]) widened_expert(args, expert, offsets[expert], offsets[expert + 1]);
  });
}

void weight_grad_widened_expert(const GroupedMatmulWeightGradArgs& args, std::int64_t expert, std::int64_t first,
                                std::int64_t last) {
  static thread_local Arena arena;
  const std::int64_t k = args.a.shape[1], n = args.b.shape[1], rows = padded_rows(first, last);
  auto* c = args.c.as<float>() + expert * k * n;
  if (first == last) {
    if (!args.accumulate) std::fill_n(c, k * n, 0.0f);
    return;
  }
  arena.reset(rows * (k + n));
  float *a = arena.take<float>(rows * k), *b = arena.take<float>(rows * n);
  widen_rows(args.a, first, last, rows, false, a);
  widen_rows(args.b, first, last, rows, false, b);
  Gemm product;
  product.m = k, product.n = n, product.k = rows;
  product.a = {a, DType::f32, 0, 1, k};
  product.b = {b, DType::f32, 0, n, 1};
  product.c = {c, DType::f32, 0, n, 1};
  product.accumulate = args.accumulate;
  onednn::gemm(product);
}

void grouped_matmul_weight_grad_widened(const GroupedMatmulWeightGradArgs& args) {
  const auto* offsets = args.offsets.as<const std::int32_t>();
  const std::vector<std::int64_t> order = by_size(offsets, args.c.shape[0]);
  parallel_tasks(args.c.shape[0], [&](std::int64_t index) {
    const std::int64_t expert = order[static_cast<std::size_t>(index)];
    weight_grad_widened_expert(args, expert, offsets[expert], offsets[expert + 1]);
  });
}

}  // namespace

void add_grouped_matmul_kernels() {
  add_kernel<GroupedMatmulArgs>(Device::cpu, "onednn", grouped_matmul, [](const GroupedMatmulArgs& args) {
    const char* reason = native_reason(args.a);
    return reason ? reason : grouped_reason(args);
  });
  add_kernel<GroupedMatmulArgs>(Device::cpu, "onednn_f32", grouped_matmul_widened, grouped_reason);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cpu, "onednn", grouped_matmul_weight_grad,
                                          [](const GroupedMatmulWeightGradArgs& args) {
                                            const char* reason = native_reason(args.a);
                                            return reason ? reason : weight_grad_reason(args);
                                          });
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cpu, "onednn_f32", grouped_matmul_weight_grad_widened,
                                          weight_grad_reason);
}

}  // namespace orrery
