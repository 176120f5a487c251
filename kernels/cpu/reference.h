// What the plain-loop references share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/api/bfloat16.h"
#include "kernels/api/types.h"

namespace orrery {

/// Calls body.operator()<T>() with T the storage type of a float dtype.
template <class Body>
void with_float_type(DType dtype, const Body& body) {
  if (dtype == DType::bf16)
    body.template operator()<BFloat16>();
  else
    body.template operator()<float>();
}

template <class T>
double at(const TensorView& view, std::int64_t index) {
  return double{to_float(view.as<const T>()[index])};
}
template <class T>
void put(const TensorView& view, std::int64_t index, double value) {
  view.as<T>()[index] = from_float<T>(static_cast<float>(value));
}

/// A double buffer of `count` zeros.
inline std::vector<double> zeros(std::int64_t count) {
  return std::vector<double>(static_cast<std::size_t>(count), 0.0);
}
inline std::size_t idx(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace orrery
