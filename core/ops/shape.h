// Ops that move elements without changing them, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// The same elements in row-major order under another shape (one dimension may be −1). A view where x is contiguous.
Tensor reshape(const Tensor& x, Shape shape);
/// Two dimensions exchanged. A view.
Tensor transpose(const Tensor& x, int a, int b);
/// Dimension i of the result is dimension order[i] of x. A view.
Tensor permute(const Tensor& x, std::vector<int> order);
/// `length` elements of dimension `dim` from `start` on. A view.
Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length);
/// Consecutive pieces along `dim`, one backward for all of them. Views. The sizes sum up to the dimension.
std::vector<Tensor> split(const Tensor& x, int dim, const std::vector<std::int64_t>& sizes);
/// Dimensions of size 1 repeated (stride 0) to `shape`. A view.
Tensor expand(const Tensor& x, Shape shape);
/// Row-major memory: x itself when it is so already.
Tensor contiguous(const Tensor& x);
/// Tensors of one dtype and equal shapes but for dimension `dim`.
Tensor concat(const std::vector<Tensor>& parts, int dim);
/// `before` and `after` elements of `value` around dimension `dim`.
Tensor pad(const Tensor& x, int dim, std::int64_t before, std::int64_t after, float value = 0.0f);

}  // namespace orrery::ops
