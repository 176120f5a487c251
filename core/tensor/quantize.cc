#include "core/tensor/quantize.h"

#include <algorithm>
#include <cmath>

namespace orrery {

QuantizedRows quantize_rows(const Tensor& value) {
  const std::int64_t columns = value.dim(-1), rows = value.numel() / columns;
  Shape scale_shape = value.shape();
  scale_shape.pop_back();
  QuantizedRows result{Tensor::empty(value.shape(), DType::i8), Tensor::empty(scale_shape)};
  const float* x = value.data<float>();
  auto* q = result.values.data<std::int8_t>();
  float* scales = result.scales.data<float>();
  for (std::int64_t r = 0; r < rows; ++r) {
    float largest = 0;
    for (std::int64_t c = 0; c < columns; ++c) largest = std::max(largest, std::fabs(x[r * columns + c]));
    scales[r] = largest > 0 ? largest / 127.0f : 1.0f;
    for (std::int64_t c = 0; c < columns; ++c)
      q[r * columns + c] = static_cast<std::int8_t>(std::lround(x[r * columns + c] / scales[r]));
  }
  return result;
}

}  // namespace orrery
