// The ops and shapes of `orrery bench ops`, most of them those of a training step of 8 × 782 tokens of width 256.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "kernels/api/ceilings.h"

namespace orrery::pipeline {

/// One run's work and how to do it.
struct OpWork {
  std::string shape;
  DType dtype = DType::f32;
  double flops = 0;          ///< of matrix products
  double bytes = 0;          ///< read and written, each tensor once; rows with bytes are held against a copy
  double vector_ops = 0;     ///< other arithmetic that the op cannot do without, counted a vector lane
  double conversions = 0;    ///< between bf16 and f32, in the same count, on machines without bf16 instructions
  BareProductShape product;  ///< the same product for the library, where there is one (m > 0)
  std::function<void()> run;
};

/// A row: made when its turn comes, since it holds its tensors.
struct OpCase {
  std::string name;
  std::function<OpWork()> make;
};
std::vector<OpCase> op_cases();

}  // namespace orrery::pipeline
