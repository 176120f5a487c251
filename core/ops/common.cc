#include "core/ops/common.h"

#include <algorithm>

#include "core/ops/backends.h"
#include "kernels/api/copy.h"
#include "kernels/api/reduce.h"

namespace orrery::ops {

std::string describe(const Tensor& x) {
  return x.defined() ? std::string(name_of(x.dtype())) + " " + to_string(x.shape()) : "undefined";
}

void check_floating(const char* op, const char* name, const Tensor& x) {
  ORRERY_CHECK(x.defined() && floating(x), "[", op, "] ", name, " is ", describe(x), ", expected f32 or bf16");
}

void check_dtype(const char* op, const char* name, const Tensor& x, DType dtype) {
  ORRERY_CHECK(x.defined() && x.dtype() == dtype, "[", op, "] ", name, " is ", describe(x), ", expected ",
               name_of(dtype));
}

int checked_dim(const char* op, const Tensor& x, int dim) {
  ORRERY_CHECK(x.defined(), "[", op, "] x is undefined");
  const int positive = dim < 0 ? dim + x.rank() : dim;
  ORRERY_CHECK(positive >= 0 && positive < x.rank(), "[", op, "] dimension ", dim, " of ", describe(x),
               ", expected within ", x.rank(), " dimensions");
  return positive;
}

Tensor dense_as(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype && x.contiguous()) return x.detach();
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  run(CopyArgs{x.view(), y.view()});
  return y;
}

Tensor dense(const Tensor& x) { return dense_as(x, x.dtype()); }

Tensor with_runs(const Tensor& x, bool repeats_allowed) {
  for (std::size_t d = x.shape().size(); d-- > 0;) {
    if (x.shape()[d] == 1) continue;
    const std::int64_t stride = x.strides()[d];
    return stride == 1 || (repeats_allowed && stride == 0) ? x : dense(x);
  }
  return x;
}

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()));
  for (std::size_t i = 1; i <= result.size(); ++i) {
    const std::int64_t left = i <= a.size() ? a[a.size() - i] : 1, right = i <= b.size() ? b[b.size() - i] : 1;
    ORRERY_CHECK(left == right || left == 1 || right == 1, "[", op, "] shapes ", to_string(a), " and ", to_string(b),
                 " do not broadcast: ", left, " against ", right);
    result[result.size() - i] = left == 1 ? right : left;
  }
  return result;
}

Tensor broadcast_view(const Tensor& x, const Shape& shape) {
  Shape strides(shape.size(), 0);
  const std::size_t skipped = shape.size() - x.shape().size();
  for (std::size_t i = skipped; i < shape.size(); ++i)
    if (x.shape()[i - skipped] == shape[i]) strides[i] = x.strides()[i - skipped];
  return x.alias(shape, std::move(strides), 0);
}

Tensor sum_to(const Tensor& gradient, const Shape& shape, DType dtype) {
  if (gradient.shape() == shape) return dense_as(gradient, dtype);
  Shape kept(gradient.shape().size(), 1);
  std::copy(shape.begin(), shape.end(), kept.end() - static_cast<std::ptrdiff_t>(shape.size()));
  const Tensor sum = Tensor::empty(kept, dtype, gradient.device());
  run(ReduceArgs{gradient.view(), sum.view(), Reduction::sum});
  return sum.reshaped(shape);
}

}  // namespace orrery::ops
