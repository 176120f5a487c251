#include "video/latent/unfold.h"

#include <cstring>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "kernels/api/bfloat16.h"

namespace orrery {

namespace {

template <class T>
void unfold(const T* x, T* out, const Shape& shape) {
  const std::int64_t h = shape[1], w = shape[2], c = shape[3];
  parallel_for(shape[0] * h, 4, [=](std::int64_t begin, std::int64_t end) {
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

// The gradient: each position sums what its nine neighbours took from it, in a fixed order.
template <class T>
void fold(const T* grad, T* out, const Shape& shape) {
  const std::int64_t h = shape[1], w = shape[2], c = shape[3];
  parallel_for(shape[0] * h, 4, [=](std::int64_t begin, std::int64_t end) {
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

}  // namespace

Tensor unfold3x3(const Tensor& x) {
  const Tensor input = x.contiguous() ? x : x.clone();
  const Shape shape = input.shape();
  const Tensor out = Tensor::empty({shape[0], shape[1], shape[2], 9 * shape[3]}, x.dtype());
  const bool bf16 = x.dtype() == DType::bf16;
  bf16 ? unfold(input.data<BFloat16>(), out.data<BFloat16>(), shape)
       : unfold(input.data<float>(), out.data<float>(), shape);
  record("unfold3x3", {x}, {out}, [shape, bf16](const std::vector<Tensor>& grads) {
    const Tensor grad = Tensor::empty(shape, grads[0].dtype());
    bf16 ? fold(grads[0].data<BFloat16>(), grad.data<BFloat16>(), shape)
         : fold(grads[0].data<float>(), grad.data<float>(), shape);
    return std::vector<Tensor>{grad};
  });
  return out;
}

}  // namespace orrery
