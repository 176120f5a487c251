// kernels/api/codec.h in loops over rows of positions.
#include "kernels/api/codec.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/api/registry.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reference.h"
#include "kernels/cpu/training.h"

namespace orrery {

namespace {

template <class T>
void unfold(const UnfoldArgs& args) {
  const T* x = args.x.as<const T>();
  T* out = args.out.as<T>();
  const std::int64_t h = args.x.shape[1], w = args.x.shape[2], c = args.x.shape[3];
  parallel_blocks(args.x.shape[0] * h, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / h, y = row % h;
      for (std::int64_t column = 0; column < w; ++column) {
        T* to = out + (row * w + column) * 9 * c;
        for (std::int64_t dy = -1; dy <= 1; ++dy)
          for (std::int64_t dx = -1; dx <= 1; ++dx, to += c) {
            const bool inside = y + dy >= 0 && y + dy < h && column + dx >= 0 && column + dx < w;
            const auto bytes = static_cast<std::size_t>(c) * sizeof(T);
            if (inside) {
              std::memcpy(to, x + ((n * h + y + dy) * w + column + dx) * c, bytes);
            } else {
              std::memset(to, 0, bytes);
            }
          }
      }
    }
  });
}

// In a fixed order of the neighbours.
template <class T>
void fold(const FoldArgs& args) {
  const T* grad = args.grad_out.as<const T>();
  T* out = args.grad_x.as<T>();
  const std::int64_t h = args.grad_x.shape[1], w = args.grad_x.shape[2], c = args.grad_x.shape[3];
  parallel_blocks(args.grad_x.shape[0] * h, 4, [=](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(c));
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / h, y = row % h;
      for (std::int64_t column = 0; column < w; ++column) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (std::int64_t dy = -1; dy <= 1; ++dy)
          for (std::int64_t dx = -1; dx <= 1; ++dx) {
            const std::int64_t ny = y - dy, nx = column - dx;  // the position that saw this one at (dy, dx)
            if (ny < 0 || ny >= h || nx < 0 || nx >= w) continue;
            const T* from = grad + (((n * h + ny) * w + nx) * 9 + (dy + 1) * 3 + dx + 1) * c;
            for (std::int64_t i = 0; i < c; ++i) sums[static_cast<std::size_t>(i)] += to_float(from[i]);
          }
        T* to = out + (row * w + column) * c;
        for (std::int64_t i = 0; i < c; ++i) to[i] = from_float<T>(sums[static_cast<std::size_t>(i)]);
      }
    }
  });
}

void fsq(const FsqArgs& args) {
  const float* x = args.x.as<const float>();
  float *out = args.out.as<float>(), *slope = args.slope.as<float>();
  for (std::int64_t i = 0; i < args.x.numel(); ++i) {
    const auto d = static_cast<std::size_t>(i % args.dims);
    const float t = std::tanh(x[i] + args.shift[d]);
    out[i] = std::round(t * args.half[d] - args.offset[d]) / args.scale[d];
    slope[i] = (1 - t * t) * args.half[d] / args.scale[d];
  }
}

}  // namespace

void add_codec_kernels() {
  add_kernel<UnfoldArgs>(Device::cpu, "reference", [](const UnfoldArgs& args) {
    with_float_type(args.x.dtype, [&]<class T>() { unfold<T>(args); });
  });
  add_kernel<FoldArgs>(Device::cpu, "reference", [](const FoldArgs& args) {
    with_float_type(args.grad_x.dtype, [&]<class T>() { fold<T>(args); });
  });
  add_kernel<FsqArgs>(Device::cpu, "reference", fsq);
}

}  // namespace orrery
