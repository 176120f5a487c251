// kernels/api/codec.h: a thread an element.
#include <cmath>

#include "kernels/api/codec.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

template <class T>
struct Unfold {
  const T* x;
  T* out;
  std::int64_t h, w, c;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t channel = i % c, tap = i / c % 9, place = i / c / 9;
    const std::int64_t column = place % w + tap % 3 - 1, y = place / w % h + tap / 3 - 1, n = place / w / h;
    const bool inside = column >= 0 && column < w && y >= 0 && y < h;
    out[i] = inside ? x[((n * h + y) * w + column) * c + channel] : from_float<T>(0.0f);
  }
};

template <class T>
struct Fold {
  const T* grad;
  T* out;
  std::int64_t h, w, c;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t channel = i % c, place = i / c, column = place % w, y = place / w % h, n = place / w / h;
    float sum = 0;
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      const std::int64_t ny = y - (tap / 3 - 1), nx = column - (tap % 3 - 1);
      if (ny < 0 || ny >= h || nx < 0 || nx >= w) continue;
      sum += to_float(grad[(((n * h + ny) * w + nx) * 9 + tap) * c + channel]);
    }
    out[i] = from_float<T>(sum);
  }
};

struct Fsq {
  FsqArgs args;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t d = i % args.dims;
    const float t = tanhf(static_cast<const float*>(args.x.data)[i] + args.shift[d]);
    static_cast<float*>(args.out.data)[i] = roundf(t * args.half[d] - args.offset[d]) / args.scale[d];
    static_cast<float*>(args.slope.data)[i] = (1 - t * t) * args.half[d] / args.scale[d];
  }
};

void unfold(const UnfoldArgs& args) {
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_each(UnfoldArgs::kOp, args.out.numel(),
                Unfold<T>{args.x.as<const T>(), args.out.as<T>(), args.x.shape[1], args.x.shape[2], args.x.shape[3]});
  });
}

void fold(const FoldArgs& args) {
  with_float_type(args.grad_x.dtype, [&]<class T>() {
    launch_each(FoldArgs::kOp, args.grad_x.numel(),
                Fold<T>{args.grad_out.as<const T>(), args.grad_x.as<T>(), args.grad_x.shape[1], args.grad_x.shape[2],
                        args.grad_x.shape[3]});
  });
}

void fsq(const FsqArgs& args) { launch_each(FsqArgs::kOp, args.x.numel(), Fsq{args}); }

}  // namespace

void add_codec_kernels() {
  add_kernel<UnfoldArgs>(Device::cuda, "elements", unfold);
  add_kernel<FoldArgs>(Device::cuda, "elements", fold);
  add_kernel<FsqArgs>(Device::cuda, "elements", fsq);
}

}  // namespace orrery::gpu
