// Copies and fills between any strides and dtypes.
#include "kernels/api/copy.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

// The same dtype: bits are moved.
template <class Bits>
struct Move {
  const Bits* x;
  Bits* y;
  Walk<2> walk;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto offsets = walk(i);
    y[offsets.at[1]] = x[offsets.at[0]];
  }
};

template <class C>
struct Convert {
  Values x, y;
  Walk<2> walk;
  bool accumulate;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto offsets = walk(i);
    const C value = x.load<C>(offsets.at[0]);
    y.store<C>(offsets.at[1], accumulate ? value + y.load<C>(offsets.at[1]) : value);
  }
};

struct Fill {
  Values y;
  float value;
  Walk<1> walk;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const { y.store<float>(walk(i).at[0], value); }
};

template <class Bits>
void move(const CopyArgs& args, const Walk<2>& walk) {
  launch_each(CopyArgs::kOp, walk.total, Move<Bits>{args.x.as<const Bits>(), args.y.as<Bits>(), walk});
}

void copy(const CopyArgs& args) {
  const TensorView* const views[] = {&args.x, &args.y};
  const Walk<2> walk = make_walk(views);
  if (args.x.dtype == args.y.dtype && !args.accumulate) {
    const std::int64_t size = size_of(args.x.dtype);
    return size == 4   ? move<std::uint32_t>(args, walk)
           : size == 2 ? move<std::uint16_t>(args, walk)
                       : move<std::uint8_t>(args, walk);
  }
  if (integral(args.x) || integral(args.y))
    return launch_each(CopyArgs::kOp, walk.total,
                       Convert<double>{values_of(args.x), values_of(args.y), walk, args.accumulate});
  launch_each(CopyArgs::kOp, walk.total, Convert<float>{values_of(args.x), values_of(args.y), walk, args.accumulate});
}

void fill(const FillArgs& args) {
  const TensorView* const views[] = {&args.y};
  const Walk<1> walk = make_walk(views);
  launch_each(FillArgs::kOp, walk.total, Fill{values_of(args.y), args.value, walk});
}

}  // namespace

void add_copy_kernels() {
  add_kernel<CopyArgs>(Device::cuda, "strided", copy);
  add_kernel<FillArgs>(Device::cuda, "strided", fill);
}

}  // namespace orrery::gpu
