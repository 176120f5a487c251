// Matrix products: C = activation(A·B + bias [+ C]), and the grouped products of a mixture of experts.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// What a product's epilogue applies to each element. gelu is the tanh form (Hendrycks & Gimpel 2016, eq. 2).
enum class Activation : std::uint8_t { none, relu, silu, gelu };
constexpr const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
  }
  return "?";
}

/// A and B have C's rank (at least 2) and batch dimensions; a broadcast batch dimension has stride 0. In the last two
/// dimensions any strides will do; the fast kernels want one of them to be 1 (a transposed view costs no copy).
struct MatmulArgs {
  static constexpr const char* kOp = "matmul";
  TensorView a;     ///< [..., m, k] f32 or bf16
  TensorView b;     ///< [..., k, n] like a, or f32 where a is bf16: rounded to bf16 first
  TensorView bias;  ///< [n] f32, or not given
  TensorView c;     ///< [..., m, n] f32 or bf16, rows contiguous
  Activation activation = Activation::none;
  bool accumulate = false;  ///< add to what C holds, before the activation
  Device device() const { return c.device; }
};

/// Rows of A are sorted by expert: expert e owns rows offsets[e] … offsets[e + 1]. C[rows of e] = A[rows of e]·B[e].
struct GroupedMatmulArgs {
  static constexpr const char* kOp = "grouped_matmul";
  TensorView a;        ///< [rows, k] f32 or bf16, rows contiguous
  TensorView b;        ///< [experts, k, n] like a, or f32 where a is bf16; the last two dimensions may be transposed
  TensorView offsets;  ///< [experts + 1] i32, non-decreasing, first 0, last `rows`; in host memory on the CPU
  TensorView c;        ///< [rows, n] f32 or bf16, rows contiguous
  Device device() const { return c.device; }
};

/// The weights' gradient of a grouped product: C[e] = A[rows of e]ᵀ·B[rows of e] (zero for an expert without rows).
struct GroupedMatmulWeightGradArgs {
  static constexpr const char* kOp = "grouped_matmul_weight_grad";
  TensorView a;        ///< [rows, k] f32 or bf16
  TensorView b;        ///< [rows, n] like a
  TensorView offsets;  ///< [experts + 1] i32
  TensorView c;        ///< [experts, k, n] f32, contiguous
  bool accumulate = false;
  Device device() const { return c.device; }
};

}  // namespace orrery
