#include "core/ops/shape.h"

#include <numeric>

#include "core/autograd/autograd.h"
#include "core/ops/backends.h"
#include "core/ops/common.h"
#include "kernels/api/copy.h"

namespace orrery::ops {

namespace {

using Index = std::size_t;

Tensor narrowed(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  Shape shape = x.shape();
  shape[static_cast<Index>(dim)] = length;
  return x.alias(std::move(shape), x.strides(), start * x.strides()[static_cast<Index>(dim)]);
}

void copy_into(const Tensor& from, const Tensor& to) {
  if (from.numel() > 0) run(CopyArgs{from.view(), to.view()});
}

Tensor permuted(const Tensor& x, const std::vector<int>& order) {
  Shape shape, strides;
  for (const int from : order) {
    shape.push_back(x.shape()[static_cast<Index>(from)]);
    strides.push_back(x.strides()[static_cast<Index>(from)]);
  }
  return x.alias(std::move(shape), std::move(strides), 0);
}

void fill(const Tensor& x, float value) {
  if (x.numel() > 0) run(FillArgs{x.view(), value});
}

}  // namespace

Tensor contiguous(const Tensor& x) {
  ORRERY_CHECK(x.defined(), "[contiguous] x is undefined");
  if (x.contiguous()) return x;
  const Tensor y = dense(x);
  record("contiguous", {x}, {y}, [](const std::vector<Tensor>& grads) { return std::vector<Tensor>{grads[0]}; });
  return y;
}

Tensor reshape(const Tensor& x, Shape shape) {
  ORRERY_CHECK(x.defined(), "[reshape] x is undefined");
  const Tensor source = dense(x);
  const Tensor y = source.reshaped(std::move(shape));
  record("reshape", {x}, {y}, [shape = x.shape()](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{dense(grads[0]).reshaped(shape)};
  });
  return y;
}

Tensor permute(const Tensor& x, std::vector<int> order) {
  ORRERY_CHECK(x.defined() && static_cast<int>(order.size()) == x.rank(), "[permute] ", order.size(),
               " dimensions for ", describe(x));
  std::vector<int> inverse(order.size(), -1);
  for (Index i = 0; i < order.size(); ++i) {
    order[i] = checked_dim("permute", x, order[i]);
    ORRERY_CHECK(inverse[static_cast<Index>(order[i])] < 0, "[permute] dimension ", order[i], " is named twice");
    inverse[static_cast<Index>(order[i])] = static_cast<int>(i);
  }
  const Tensor y = permuted(x, order);
  record("permute", {x}, {y}, [inverse](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{dense(permuted(grads[0], inverse))};
  });
  return y;
}

Tensor transpose(const Tensor& x, int a, int b) {
  ORRERY_CHECK(x.defined(), "[transpose] x is undefined");
  std::vector<int> order(static_cast<Index>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<Index>(checked_dim("transpose", x, a))],
            order[static_cast<Index>(checked_dim("transpose", x, b))]);
  return permute(x, std::move(order));
}

Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  const int at = checked_dim("narrow", x, dim);
  ORRERY_CHECK(start >= 0 && start <= x.dim(at) && length >= 0 && length <= x.dim(at) - start, "[narrow] ", length,
               " elements from ", start, " on of dimension ", at, " of ", describe(x));
  const Tensor y = narrowed(x, at, start, length);
  if (!needs_tape({&x})) return y;
  record(
      "narrow", {x}, {y},
      [at, start, length, shape = x.shape(), dtype = x.dtype(), device = x.device()](const std::vector<Tensor>& grads) {
        const Tensor grad = Tensor::empty(shape, dtype, device);
        const std::int64_t size = shape[static_cast<Index>(at)];
        fill(narrowed(grad, at, 0, start), 0);
        copy_into(grads[0], narrowed(grad, at, start, length));
        fill(narrowed(grad, at, start + length, size - start - length), 0);
        return std::vector<Tensor>{grad};
      });
  return y;
}

std::vector<Tensor> split(const Tensor& x, int dim, const std::vector<std::int64_t>& sizes) {
  const int at = checked_dim("split", x, dim);
  std::vector<Tensor> parts;
  std::int64_t start = 0;
  for (const std::int64_t size : sizes) {
    ORRERY_CHECK(size >= 0 && size <= x.dim(at) - start, "[split] sizes beyond dimension ", at, " of ", describe(x));
    parts.push_back(narrowed(x, at, start, size));
    start += size;
  }
  ORRERY_CHECK(start == x.dim(at), "[split] sizes sum up to ", start, ", dimension ", at, " of ", describe(x), " has ",
               x.dim(at));
  if (!needs_tape({&x})) return parts;
  record("split", {x}, parts,
         [at, sizes, shape = x.shape(), dtype = x.dtype(), device = x.device()](const std::vector<Tensor>& grads) {
           const Tensor grad = Tensor::empty(shape, dtype, device);
           std::int64_t from = 0;
           for (Index i = 0; i < sizes.size(); ++i) {
             const Tensor place = narrowed(grad, at, from, sizes[i]);
             grads[i].defined() ? copy_into(grads[i], place) : fill(place, 0);
             from += sizes[i];
           }
           return std::vector<Tensor>{grad};
         });
  return parts;
}

Tensor expand(const Tensor& x, Shape shape) {
  ORRERY_CHECK(x.defined() && broadcast_shape("expand", x.shape(), shape) == shape, "[expand] ", describe(x),
               " does not expand to ", to_string(shape));
  const Tensor y = broadcast_view(x, shape);
  record("expand", {x}, {y}, [from = x.shape(), dtype = x.dtype()](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{sum_to(grads[0], from, dtype)};
  });
  return y;
}

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  ORRERY_CHECK(!parts.empty(), "[concat] no tensors");
  const int at = checked_dim("concat", parts[0], dim);
  Shape shape = parts[0].shape();
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const Tensor& part : parts) {
    ORRERY_CHECK(part.defined() && part.rank() == parts[0].rank(), "[concat] ", describe(part), " beside ",
                 describe(parts[0]));
    shape[static_cast<Index>(at)] = part.dim(at);
    ORRERY_CHECK(part.shape() == shape && part.dtype() == parts[0].dtype(), "[concat] ", describe(part), " beside ",
                 describe(parts[0]), ", expected the same but for dimension ", at);
    sizes.push_back(part.dim(at));
    total += part.dim(at);
  }
  shape[static_cast<Index>(at)] = total;
  const Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  std::int64_t start = 0;
  for (Index i = 0; i < parts.size(); ++i) {
    copy_into(parts[i], narrowed(y, at, start, sizes[i]));
    start += sizes[i];
  }
  if (!needs_tape(parts)) return y;
  record("concat", parts, {y}, [at, sizes](const std::vector<Tensor>& grads) {
    std::vector<Tensor> result;
    std::int64_t from = 0;
    for (const std::int64_t size : sizes) {
      result.push_back(dense(narrowed(grads[0], at, from, size)));
      from += size;
    }
    return result;
  });
  return y;
}

Tensor pad(const Tensor& x, int dim, std::int64_t before, std::int64_t after, float value) {
  const int at = checked_dim("pad", x, dim);
  constexpr std::int64_t kMost = std::int64_t{1} << 50;  // of any tensor's elements
  ORRERY_CHECK(before >= 0 && after >= 0 && before <= kMost && after <= kMost, "[pad] ", before, " before and ", after,
               " after, expected from 0 to 2^50");
  Shape shape = x.shape();
  const std::int64_t size = x.dim(at);
  shape[static_cast<Index>(at)] = before + size + after;
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  fill(narrowed(y, at, 0, before), value);
  copy_into(x, narrowed(y, at, before, size));
  fill(narrowed(y, at, before + size, after), value);
  if (!needs_tape({&x})) return y;
  record("pad", {x}, {y}, [at, before, size](const std::vector<Tensor>& grads) {
    return std::vector<Tensor>{dense(narrowed(grads[0], at, before, size))};
  });
  return y;
}

}  // namespace orrery::ops
