#include "core/ops/indexing.h"

#include <limits>
#include <numeric>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "core/ops/elementwise.h"
#include "core/ops/shape.h"
#include "kernels/api/copy.h"
#include "kernels/api/indexing.h"

namespace orrery::ops {

namespace {

void check_range(const char* op, const Tensor& ids, std::int64_t low, std::int64_t end) {
  if (ids.device() != Device::cpu) return;  // kernels of other devices check on their own
  const Tensor rows = dense(ids);           // named: a copy of a strided view must outlive the loop
  for (const std::int32_t id : rows.span<std::int32_t>())
    ORRERY_CHECK(id >= low && id < end, "[", op, "] index ", id, ", expected from ", low, " to ", end - 1);
}

// x as [outer, size, inner] around dimension `dim`.
Tensor around(const Tensor& x, int dim) {
  std::int64_t outer = 1, inner = 1;
  for (int d = 0; d < dim; ++d) outer *= x.dim(d);
  for (int d = dim + 1; d < x.rank(); ++d) inner *= x.dim(d);
  return x.reshaped({outer, x.dim(dim), inner});
}

void check_index_shape(const char* op, const Tensor& index, const Tensor& x, int dim) {
  check_dtype(op, "index", index, DType::i32);
  Shape expected = x.shape();
  if (index.rank() == x.rank()) expected[static_cast<std::size_t>(dim)] = index.dim(dim);
  ORRERY_CHECK(index.shape() == expected, "[", op, "] index is ", describe(index), " for ", describe(x),
               ", expected the same shape but for dimension ", dim);
}

Tensor gathered(const Tensor& x, int dim, const Tensor& index) {
  const Tensor y = Tensor::empty(index.shape(), x.dtype(), x.device());
  run(GatherArgs{around(dense(x), dim).view(), around(index, dim).view(), around(y, dim).view()});
  return y;
}

Tensor zeros(const Shape& shape, DType dtype, Device device) {
  const Tensor result = Tensor::empty(shape, dtype, device);
  run(FillArgs{result.view(), 0});
  return result;
}

// The gradient of a gather: `grad` added up where it came from.
Tensor scattered(const Tensor& grad, int dim, const Tensor& index, const Shape& shape, DType dtype) {
  const Tensor sum = zeros(shape, DType::f32, grad.device());
  run(ScatterAddArgs{around(dense(grad), dim).view(), around(index, dim).view(), around(sum, dim).view()});
  return dense_as(sum, dtype);
}

}  // namespace

Tensor embedding(const Tensor& table, const Tensor& ids, DType out) {
  check_floating("embedding", "table", table);
  check_dtype("embedding", "ids", ids, DType::i32);
  ORRERY_CHECK(table.rank() == 2, "[embedding] table is ", describe(table), ", expected [rows, d]");
  ORRERY_CHECK(out == DType::f32 || out == DType::bf16, "[embedding] output as ", name_of(out),
               ", expected f32 or bf16");
  check_range("embedding", ids, std::numeric_limits<std::int32_t>::min(), table.dim(0));
  const Tensor rows = dense(ids).reshaped({-1}).to(table.device());  // batches come from the CPU
  const Tensor y = Tensor::empty({rows.numel(), table.dim(1)}, out, table.device());
  run(EmbeddingArgs{dense(table).view(), rows.view(), y.view()});
  Shape shape = ids.shape();
  shape.push_back(table.dim(1));
  const Tensor result = y.reshaped(shape);
  if (!needs_tape({&table})) return result;
  record("embedding", {table}, {result},
         [rows, shape = table.shape(), dtype = table.dtype()](const std::vector<Tensor>& grads) {
           const Tensor grad_table = zeros(shape, DType::f32, rows.device());
           run(EmbeddingBackwardArgs{
               dense(grads[0]).reshaped({rows.numel(), shape[1]}).view(), rows.view(), {}, grad_table.view()});
           return std::vector<Tensor>{dense_as(grad_table, dtype)};
         });
  return result;
}

Tensor index_select(const Tensor& x, int dim, const Tensor& ids) {
  const int at = checked_dim("index_select", x, dim);
  check_floating("index_select", "x", x);
  check_dtype("index_select", "ids", ids, DType::i32);
  ORRERY_CHECK(ids.rank() == 1, "[index_select] ids are ", describe(ids), ", expected [n]");
  check_range("index_select", ids, 0, x.dim(at));
  if (at == 0) {
    const std::int64_t width = x.dim(0) == 0 ? 0 : x.numel() / x.dim(0);
    Shape shape = x.shape();
    shape[0] = ids.dim(0);
    return reshape(embedding(reshape(x, {x.dim(0), width}), ids, x.dtype()), shape);
  }
  Shape shape = x.shape(), place(x.shape().size(), 1);
  shape[static_cast<std::size_t>(at)] = ids.dim(0);
  place[static_cast<std::size_t>(at)] = ids.dim(0);
  return gather(x, at, dense(broadcast_view(dense(ids).reshaped(place), shape)));
}

Tensor gather(const Tensor& x, int dim, const Tensor& index) {
  const int at = checked_dim("gather", x, dim);
  check_index_shape("gather", index, x, at);
  check_range("gather", index, 0, x.dim(at));
  const Tensor places = dense(index);
  const Tensor y = gathered(x, at, places);
  if (!needs_tape({&x})) return y;
  record("gather", {x}, {y}, [at, places, shape = x.shape(), dtype = x.dtype()](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{scattered(grads[0], at, places, shape, dtype)};
  });
  return y;
}

Tensor scatter_add(const Tensor& base, int dim, const Tensor& index, const Tensor& x) {
  const int at = checked_dim("scatter_add", base, dim);
  check_floating("scatter_add", "base", base);
  check_floating("scatter_add", "x", x);
  check_index_shape("scatter_add", index, base, at);
  ORRERY_CHECK(x.shape() == index.shape(), "[scatter_add] x is ", describe(x), ", index is ", describe(index),
               ", expected the same shape");
  check_range("scatter_add", index, 0, base.dim(at));
  const Tensor places = dense(index);
  const Tensor y = Tensor::empty_like(base);
  run(CopyArgs{base.view(), y.view()});
  run(ScatterAddArgs{around(dense(x), at).view(), around(places, at).view(), around(y, at).view()});
  if (!needs_tape({&base, &x})) return y;
  record("scatter_add", {base, x}, {y}, [at, places, dtype = x.dtype()](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{grads[0], dense_as(gathered(grads[0], at, places), dtype)};
  });
  return y;
}

Tensor one_hot(const Tensor& indices, std::int64_t count) {
  ORRERY_CHECK(indices.dtype() == DType::i32 && indices.rank() == 1 && count > 0, "[one_hot] indices are ",
               describe(indices), ", count is ", count, ", expected i32 [rows] and at least 1");
  const NoGrad guard;
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  const Tensor column = indices.alias({indices.dim(0), 1}, {indices.strides()[0], 1}, 0);
  return cast(equal(column, Tensor::from(values, {1, count}).to(indices.device())), DType::f32);
}

TopK top_k(const Tensor& x, std::int64_t k, bool ascending) {
  check_floating("top_k", "x", x);
  ORRERY_CHECK(x.rank() >= 1 && k >= 0 && k <= x.dim(-1), "[top_k] k is ", k, " for ", describe(x),
               ", expected from 0 to the last dimension");
  Shape shape = x.shape();
  const std::int64_t n = shape.back();
  shape.back() = k;
  const TopK result{Tensor::empty(shape, x.dtype(), x.device()), Tensor::empty(shape, DType::i32, x.device())};
  const std::int64_t rows = n == 0 ? 0 : x.numel() / n;
  run(TopKArgs{dense(x).reshaped({rows, n}).view(), result.values.reshaped({rows, k}).view(),
               result.indices.reshaped({rows, k}).view(), ascending});
  if (!needs_tape({&x})) return result;
  record("top_k", {x}, {result.values},
         [at = x.rank() - 1, indices = result.indices, from = x.shape(),
          dtype = x.dtype()](const std::vector<Tensor>& grads) {
           return std::vector<Tensor>{scattered(grads[0], at, indices, from, dtype)};
         });
  return result;
}

TopK sort(const Tensor& x, bool ascending) {
  ORRERY_CHECK(x.defined() && x.rank() >= 1, "[sort] x is ", describe(x), ", expected at least one dimension");
  return top_k(x, x.dim(-1), ascending);
}

}  // namespace orrery::ops
