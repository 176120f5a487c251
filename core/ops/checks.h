// What the op shims share: contiguous inputs and shape checks with one kind of message.
#pragma once

#include <initializer_list>

#include "core/base/error.h"
#include "core/tensor/tensor.h"

namespace orrery::ops {

inline bool is_float(const Tensor& x) { return x.dtype() == DType::f32 || x.dtype() == DType::bf16; }

/// "f32 [2, 3]", or "undefined".
inline std::string described(const Tensor& x) {
  return x.defined() ? std::string(name_of(x.dtype())) + " " + to_string(x.shape()) : "undefined";
}

/// Throws unless x has this dtype and shape.
inline void check_is(const char* op, const char* name, const Tensor& x, DType dtype, const Shape& shape) {
  ORRERY_CHECK(x.defined() && x.dtype() == dtype && x.shape() == shape, "[", op, "] ", name, " is ", described(x),
               ", expected ", name_of(dtype), " ", to_string(shape));
}

/// Throws unless x is f32 or bf16 of rank `rank`.
inline void check_float(const char* op, const char* name, const Tensor& x, int rank, const char* layout) {
  ORRERY_CHECK(x.defined() && is_float(x) && x.rank() == rank, "[", op, "] ", name, " is ", described(x),
               ", expected f32 or bf16 ", layout);
}

/// x without its tape, copied only if it is strided. Undefined stays undefined.
inline Tensor packed(const Tensor& x) {
  if (!x.defined()) return x;
  return x.contiguous() ? x.detach() : x.clone();
}

/// The gradient that arrived, packed; zeros like `value` where none did.
inline Tensor packed_or_zeros(const Tensor& grad, const Shape& shape, DType dtype, Device device) {
  return grad.defined() ? packed(grad) : Tensor::zeros(shape, dtype, device);
}

}  // namespace orrery::ops
