// Elementwise ops over any strides.
#include "kernels/api/elementwise.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

struct UnaryKernel {
  Values x, y;
  Walk<2> walk;
  Unary op;
  float alpha, beta;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto offsets = walk(i);
    y.store<float>(offsets.at[1], unary_value<float>(op, x.load<float>(offsets.at[0]), alpha, beta));
  }
};

struct UnaryBackwardKernel {
  Values x, grad_y, grad_x;
  Walk<3> walk;
  Unary op;
  float alpha, beta;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto offsets = walk(i);
    const float slope = unary_derivative<float>(op, x.load<float>(offsets.at[0]), alpha, beta);
    grad_x.store<float>(offsets.at[2], slope * grad_y.load<float>(offsets.at[1]));
  }
};

// C is double where i32 takes part: floats hold its values only up to 2^24.
template <class C>
struct BinaryKernel {
  Values a, b, y;
  Walk<3> walk;
  Binary op;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto offsets = walk(i);
    y.store<C>(offsets.at[2], binary_value<C>(op, a.load<C>(offsets.at[0]), b.load<C>(offsets.at[1])));
  }
};

void unary(const UnaryArgs& args) {
  const TensorView* const views[] = {&args.x, &args.y};
  const Walk<2> walk = make_walk(views);
  launch_each(UnaryArgs::kOp, walk.total,
              UnaryKernel{values_of(args.x), values_of(args.y), walk, args.op, args.alpha, args.beta});
}

void unary_backward(const UnaryBackwardArgs& args) {
  const TensorView* const views[] = {&args.x, &args.grad_y, &args.grad_x};
  const Walk<3> walk = make_walk(views);
  launch_each(UnaryBackwardArgs::kOp, walk.total,
              UnaryBackwardKernel{values_of(args.x), values_of(args.grad_y), values_of(args.grad_x), walk, args.op,
                                  args.alpha, args.beta});
}

void binary(const BinaryArgs& args) {
  const TensorView* const views[] = {&args.a, &args.b, &args.y};
  const Walk<3> walk = make_walk(views);
  const Values a = values_of(args.a), b = values_of(args.b), y = values_of(args.y);
  if (integral(args.a) || integral(args.b))
    launch_each(BinaryArgs::kOp, walk.total, BinaryKernel<double>{a, b, y, walk, args.op});
  else
    launch_each(BinaryArgs::kOp, walk.total, BinaryKernel<float>{a, b, y, walk, args.op});
}

}  // namespace

void add_elementwise_kernels() {
  add_kernel<UnaryArgs>(Device::cuda, "strided", unary);
  add_kernel<UnaryBackwardArgs>(Device::cuda, "strided", unary_backward);
  add_kernel<BinaryArgs>(Device::cuda, "strided", binary);
}

}  // namespace orrery::gpu
