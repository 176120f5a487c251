// Integers for matrices: symmetric, one scale a row.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery {

struct QuantizedRows {
  Tensor values;  ///< i8, the matrix's shape
  Tensor scales;  ///< f32, that shape without its last dimension: value = integer · scale
};

/// `value` [..., columns] f32 on the CPU. The largest |x| of a row maps to 127; a row of zeros has scale 1.
QuantizedRows quantize_rows(const Tensor& value);

}  // namespace orrery
