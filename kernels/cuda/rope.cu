// Rotary position embedding: a thread a pair (or an element that stays).
#include "kernels/api/registry.h"
#include "kernels/api/rope.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

template <class T>
struct Rope {
  const T* x;
  const float *cos, *sin;
  T* y;
  std::int64_t steps, heads, dim, pairs;
  float sign;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t first = dim - 2 * pairs, units = first + pairs;
    const auto [row, unit] = divided(i, units);
    if (unit < first) {
      y[row * dim + unit] = x[row * dim + unit];
      return;
    }
    const std::int64_t pair = unit - first,
                       angle = divided(divided(row, heads).quotient, steps).remainder * pairs + pair;
    const std::int64_t at = row * dim + first + 2 * pair;
    const float c = cos[angle], s = sin[angle] * sign, a = to_float(x[at]), b = to_float(x[at + 1]);
    y[at] = from_float<T>(a * c - b * s);
    y[at + 1] = from_float<T>(a * s + b * c);
  }
};

void rope(const RopeArgs& args) {
  const std::int64_t steps = args.x.shape[1], heads = args.x.shape[2], dim = args.x.shape[3], pairs = args.cos.shape[1];
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_each(RopeArgs::kOp, args.x.shape[0] * steps * heads * (dim - pairs),
                Rope<T>{args.x.as<const T>(), args.cos.as<const float>(), args.sin.as<const float>(), args.y.as<T>(),
                        steps, heads, dim, pairs, args.inverse ? -1.0f : 1.0f});
  });
}

}  // namespace

void add_rope_kernels() { add_kernel<RopeArgs>(Device::cuda, "pairs", rope); }

}  // namespace orrery::gpu
