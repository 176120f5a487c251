// The plain-loop references of elementwise ops, copies and reductions.
#include <cmath>
#include <limits>

#include "kernels/api/copy.h"
#include "kernels/api/elementwise.h"
#include "kernels/api/reduce.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/elementwise_math.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

void unary_reference(const UnaryArgs& args) {
  for (Odometer at(args.y, args.y.rank); !at.done; at.next())
    store(args.y, at.offset(args.y),
          unary_value(args.op, load(args.x, at.offset(args.x)), double{args.alpha}, double{args.beta}));
}

void unary_backward_reference(const UnaryBackwardArgs& args) {
  for (Odometer at(args.grad_x, args.grad_x.rank); !at.done; at.next()) {
    const double slope =
        unary_derivative(args.op, load(args.x, at.offset(args.x)), double{args.alpha}, double{args.beta});
    store(args.grad_x, at.offset(args.grad_x), slope * load(args.grad_y, at.offset(args.grad_y)));
  }
}

void binary_reference(const BinaryArgs& args) {
  for (Odometer at(args.y, args.y.rank); !at.done; at.next())
    store(args.y, at.offset(args.y),
          binary_value(args.op, load(args.a, at.offset(args.a)), load(args.b, at.offset(args.b))));
}

void copy_reference(const CopyArgs& args) {
  for (Odometer at(args.y, args.y.rank); !at.done; at.next()) {
    const std::int64_t to = at.offset(args.y);
    store(args.y, to, load(args.x, at.offset(args.x)) + (args.accumulate ? load(args.y, to) : 0.0));
  }
}

void fill_reference(const FillArgs& args) {
  for (Odometer at(args.y, args.y.rank); !at.done; at.next()) store(args.y, at.offset(args.y), double{args.value});
}

void reduce_reference(const ReduceArgs& args) {
  TensorView inner = args.x;  // the part of x that one output element covers
  for (int d = 0; d < args.x.rank; ++d)
    if (args.y.shape[d] == args.x.shape[d]) inner.shape[d] = 1;
  const double count = static_cast<double>(inner.numel());
  for (Odometer out(args.y, args.y.rank); !out.done; out.next()) {
    std::int64_t base = 0;
    for (int d = 0; d < args.y.rank; ++d) base += out.index[d] * args.x.strides[d];
    double result = args.op == Reduction::max ? -std::numeric_limits<double>::infinity() : 0;
    for (Odometer in(inner, inner.rank); !in.done; in.next()) {
      const double value = load(args.x, base + in.offset(inner));
      result = args.op != Reduction::max ? result + value : value > result || value != value ? value : result;
    }
    store(args.y, out.offset(args.y), args.op == Reduction::mean ? result / count : result);
  }
}

void sum_squares_reference(const SumSquaresArgs& args) {
  double sum = 0;
  for (std::int64_t i = 0; i < args.x.numel(); ++i) sum += load(args.x, i) * load(args.x, i);
  store(args.sum, 0, sum);
}

}  // namespace

void add_elementwise_references() {
  add_kernel<UnaryArgs>(Device::cpu, "reference", unary_reference);
  add_kernel<UnaryBackwardArgs>(Device::cpu, "reference", unary_backward_reference);
  add_kernel<BinaryArgs>(Device::cpu, "reference", binary_reference);
  add_kernel<CopyArgs>(Device::cpu, "reference", copy_reference);
  add_kernel<FillArgs>(Device::cpu, "reference", fill_reference);
  add_kernel<ReduceArgs>(Device::cpu, "reference", reduce_reference);
  add_kernel<SumSquaresArgs>(Device::cpu, "reference", sum_squares_reference);
}

}  // namespace orrery
