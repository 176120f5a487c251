// What op files share: describing tensors in errors, contiguous inputs, broadcasting. Nothing here records gradients.
#pragma once

#include <string>

#include "core/tensor/tensor.h"

namespace orrery::ops {

inline bool floating(const Tensor& x) { return x.dtype() == DType::f32 || x.dtype() == DType::bf16; }

/// "f32 [2, 3]", or "undefined".
std::string describe(const Tensor& x);

/// Throws unless x is f32 or bf16: "[op] x is i32 [2], expected f32 or bf16".
void check_floating(const char* op, const char* name, const Tensor& x);
void check_dtype(const char* op, const char* name, const Tensor& x, DType dtype);

/// The dimension counted from 0; throws when `dim` (negative: from the end) is not one of x's.
int checked_dim(const char* op, const Tensor& x, int dim);

/// x without a tape, in row-major order: x's own memory when it is so already.
Tensor dense(const Tensor& x);
/// x without a tape as `dtype`, in row-major order; its own memory when nothing has to change.
Tensor dense_as(const Tensor& x, DType dtype);

/// x, or a row-major copy where its last dimension (sizes of 1 aside) is neither contiguous nor, if allowed, one value
/// repeated: what elementwise kernels run over without a detour.
Tensor with_runs(const Tensor& x, bool repeats_allowed);

/// The shape that a and b broadcast to (numpy's rules); throws naming both when they do not.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);
/// x seen under `shape`, with stride 0 along the dimensions that broadcast. No copy.
Tensor broadcast_view(const Tensor& x, const Shape& shape);
/// The gradient of a broadcast: `gradient` summed down to `shape`, as `dtype`, row-major.
Tensor sum_to(const Tensor& gradient, const Shape& shape, DType dtype);

}  // namespace orrery::ops
