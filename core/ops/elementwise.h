// Elementwise ops, recorded on the tape. Two operands broadcast by numpy's rules; f32 beside bf16 gives f32.
#pragma once

#include "core/tensor/tensor.h"
#include "kernels/api/elementwise.h"

namespace orrery::ops {

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// At a tie the gradient goes to `a`.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// 1 where the relation holds, else 0; not recorded.
Tensor equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);

/// factor · x + offset.
Tensor affine(const Tensor& x, float factor, float offset);
inline Tensor scale(const Tensor& x, float factor) { return affine(x, factor, 0.0f); }
Tensor clamp(const Tensor& x, float low, float high);
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor silu(const Tensor& x);
/// The tanh form.
Tensor gelu(const Tensor& x);
/// Any of them by name; alpha and beta as kernels/api/elementwise.h says.
Tensor unary(Unary op, const Tensor& x, float alpha = 1.0f, float beta = 0.0f);

/// x as another dtype, recorded between f32 and bf16. The same tensor when nothing has to change.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace orrery::ops
