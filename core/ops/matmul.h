// Matrix products, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"
#include "kernels/api/matmul.h"

namespace orrery::ops {

/// A·B over the last two dimensions: [..., m, k]·[..., k, n] → [..., m, n]; batch dimensions broadcast. Transposed and
/// narrowed views cost no copy. a and b f32 (→ f32) or both bf16 (→ bf16).
Tensor matmul(const Tensor& a, const Tensor& b);

/// activation(x·weightᵀ + bias). x f32 or bf16 [..., in]; weight [out, in]: f32 (a master weight; beside bf16 x it
/// takes part as bf16), or x's dtype; bias f32 [out] or undefined. Returns [..., out] of x's dtype. The weight's and
/// the bias's gradients have their dtypes, summed in f32.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Activation activation = Activation::none);

/// One weight for each group of features: x [..., G, in], weight [G, out, in] → [..., G, out].
Tensor batched_linear(const Tensor& x, const Tensor& weight);

/// Mixture of experts: rows offsets[e] … offsets[e + 1] of x go through weight[e]. x [rows, in] f32 or bf16;
/// weight [E, out, in] as for linear; offsets [E + 1] i32, non-decreasing from 0 to rows. Returns [rows, out].
Tensor grouped_linear(const Tensor& x, const Tensor& weight, const Tensor& offsets);

}  // namespace orrery::ops
