#include "core/ops/reduce.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"
#include "kernels/api/reduce.h"

namespace orrery::ops {

namespace {

// Shapes of a reduction: with the reduced dimensions as 1, and without them.
struct ReducedShapes {
  Shape kept, dropped;
  std::int64_t count = 1;  ///< elements that one result covers
};

ReducedShapes reduced_shapes(const char* op, const Tensor& x, const std::vector<int>& dims) {
  ReducedShapes result;
  result.kept = x.shape();
  std::vector<bool> reduced(x.shape().size(), false);
  for (const int dim : dims) {
    const auto at = static_cast<std::size_t>(checked_dim(op, x, dim));
    ORRERY_CHECK(!reduced[at], "[", op, "] dimension ", dim, " is named twice");
    reduced[at] = true;
    result.count *= x.shape()[at];
    result.kept[at] = 1;
  }
  for (std::size_t i = 0; i < reduced.size(); ++i)
    if (!reduced[i]) result.dropped.push_back(x.shape()[i]);
  if (result.dropped.empty()) result.dropped.push_back(1);
  return result;
}

Tensor reduce(const char* name, Reduction op, const Tensor& x, const std::vector<int>& dims, bool keep, DType dtype) {
  check_floating(name, "x", x);
  const ReducedShapes shapes = reduced_shapes(name, x, dims);
  ORRERY_CHECK(op == Reduction::sum || shapes.count > 0, "[", name, "] over no elements of ", describe(x));
  const Tensor y = Tensor::empty(shapes.kept, dtype, x.device());
  run(ReduceArgs{x.view(), y.view(), op});
  const Tensor result = y.reshaped(keep ? shapes.kept : shapes.dropped);
  if (!needs_tape({&x})) return result;
  const bool is_max = op == Reduction::max;
  const float factor = op == Reduction::mean ? 1.0f / static_cast<float>(shapes.count) : 1.0f;
  record(name, {x}, {result},
         [is_max, factor, kept = shapes.kept, shape = x.shape(), dtype_x = x.dtype(),
          x_saved = is_max ? x.detach() : Tensor(), y_saved = is_max ? y : Tensor()](const std::vector<Tensor>& grads) {
           const Tensor grad = dense(grads[0]).reshaped(kept);
           if (is_max) {
             const Tensor mask = equal(x_saved, y_saved);
             Tensor ties = Tensor::empty(kept, DType::f32, mask.device());
             run(ReduceArgs{mask.view(), ties.view(), Reduction::sum});
             return std::vector<Tensor>{dense_as(mul(mask, div(grad, ties)), dtype_x)};
           }
           return std::vector<Tensor>{
               dense_as(broadcast_view(factor == 1.0f ? grad : scale(grad, factor), shape), dtype_x)};
         });
  return result;
}

std::vector<int> all_dims(const char* op, const Tensor& x) {
  check_floating(op, "x", x);
  std::vector<int> dims;
  for (int d = 0; d < x.rank(); ++d) dims.push_back(d);
  return dims;
}

// A result of x's own dtype.
Tensor reduce_like(const char* name, Reduction op, const Tensor& x, const std::vector<int>& dims, bool keep) {
  check_floating(name, "x", x);
  return reduce(name, op, x, dims, keep, x.dtype());
}

}  // namespace

Tensor sum(const Tensor& x) { return reduce("sum", Reduction::sum, x, all_dims("sum", x), false, DType::f32); }
Tensor mean(const Tensor& x) { return reduce("mean", Reduction::mean, x, all_dims("mean", x), false, DType::f32); }
Tensor sum(const Tensor& x, std::vector<int> dims, bool keep) {
  return reduce_like("sum", Reduction::sum, x, dims, keep);
}
Tensor mean(const Tensor& x, std::vector<int> dims, bool keep) {
  return reduce_like("mean", Reduction::mean, x, dims, keep);
}
Tensor max(const Tensor& x, std::vector<int> dims, bool keep) {
  return reduce_like("max", Reduction::max, x, dims, keep);
}

double norm(const std::vector<Tensor>& tensors) {
  double total = 0;
  std::vector<Tensor> present;
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) present.push_back(tensor);
  if (present.empty()) return 0;
  // All sums first, then one copy to the host: a device is waited for once.
  const Tensor squares =
      Tensor::empty({static_cast<std::int64_t>(present.size())}, DType::f32, present.front().device());
  for (std::size_t i = 0; i < present.size(); ++i) {
    check_floating("norm", "x", present[i]);
    run(SumSquaresArgs{dense(present[i]).view(), squares.alias({1}, {1}, static_cast<std::int64_t>(i)).view()});
  }
  for (const float part : squares.to_vector()) total += double{part};
  return std::sqrt(total);
}

}  // namespace orrery::ops
