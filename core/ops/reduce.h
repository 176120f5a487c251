// Reductions, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Over all elements: shape [1], f32.
Tensor sum(const Tensor& x);
Tensor mean(const Tensor& x);

/// Over the given dimensions (negative: from the end), x's dtype. They stay as size 1 with `keep`, else they go.
Tensor sum(const Tensor& x, std::vector<int> dims, bool keep = false);
Tensor mean(const Tensor& x, std::vector<int> dims, bool keep = false);
/// Equal largest elements share the gradient.
Tensor max(const Tensor& x, std::vector<int> dims, bool keep = false);

/// √Σ‖xᵢ‖², in a fixed order; not recorded.
double norm(const std::vector<Tensor>& tensors);

}  // namespace orrery::ops
