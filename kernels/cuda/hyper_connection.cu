// Hyper-connections, forward: a block a token.
#include <cmath>

#include "kernels/api/hyper_connection.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/sinkhorn.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 128;

template <class T>
struct HcPre {
  const T* x;
  const float *fn, *base, *scale;
  T* h;
  float *mix, *inverse, *pre, *post, *comb;
  std::int64_t n, d, rows;
  HcOptions options;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto* z = reinterpret_cast<float*>(block.memory + kReduceBytes);  // [rows]
    auto* weights = z + rows;                                         // [n], then [n, n]
    const std::int64_t t = block.index, width = n * d;
    const T* token = x + t * width;
    float squares = 0;
    for (std::int64_t i = block.thread; i < width; i += block.threads)
      squares += to_float(token[i]) * to_float(token[i]);
    squares = block_sum(block, squares, block.memory);
    const float norm = 1.0f / sqrtf(squares / static_cast<float>(width) + options.norm_eps);
    if (block.thread == 0) inverse[t] = norm;
    for (std::int64_t r = block.warp(); r < rows; r += block.warps()) {
      float sum = 0;
      for (std::int64_t i = block.lane(); i < width; i += kWarp) sum += fn[r * width + i] * to_float(token[i]);
      sum = warp_sum(sum) * norm;
      if (block.lane() != 0) continue;
      mix[t * rows + r] = sum;
      z[r] = sum * scale[r < 2 * n ? r / n : 2] + base[r];
    }
    block.sync();
    if (block.thread < n) {
      weights[block.thread] = sigmoid(z[block.thread]) + options.eps;
      pre[t * n + block.thread] = weights[block.thread];
      if (post) post[t * n + block.thread] = 2 * sigmoid(z[n + block.thread]);
    }
    block.sync();
    for (std::int64_t i = block.thread; i < d; i += block.threads) {
      float sum = 0;
      for (std::int64_t m = 0; m < n; ++m) sum += weights[m] * to_float(token[m * d + i]);
      h[t * d + i] = from_float<T>(sum);
    }
    if (!comb || block.thread != 0) return;
    float* matrix = weights + n;
    const int size = static_cast<int>(n);
    sinkhorn_start(z + 2 * n, matrix, size, options.eps);
    for (int round = 0; round < 2 * options.iterations - 1; ++round)
      normalize_lines(matrix, size, round % 2 == 1, options.eps);
    for (int i = 0; i < size * size; ++i) comb[t * n * n + i] = matrix[i];
  }
};

// A thread an element of all n streams.
template <class T>
struct HcPost {
  const T *x, *f;
  const float *post, *comb;
  T* y;
  std::int64_t n, d;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t t = i / d, c = i % d;
    for (std::int64_t k = 0; k < n; ++k) {
      float sum = post[t * n + k] * to_float(f[i]);
      for (std::int64_t m = 0; m < n; ++m) sum += comb[(t * n + m) * n + k] * to_float(x[(t * n + m) * d + c]);
      y[(t * n + k) * d + c] = from_float<T>(sum);
    }
  }
};

void pre(const HcPreArgs& args) {
  const std::int64_t n = args.x.shape[1], rows = args.fn.shape[0];
  const std::int64_t bytes = kReduceBytes + (rows + n + n * n) * std::int64_t{sizeof(float)};
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_blocks(HcPreArgs::kOp, args.x.shape[0], kThreads, bytes,
                  HcPre<T>{args.x.as<const T>(), args.fn.as<const float>(), args.base.as<const float>(),
                           args.scale.as<const float>(), args.h.as<T>(), args.mix.as<float>(), args.inverse.as<float>(),
                           args.pre.as<float>(), args.post.as<float>(), args.comb.as<float>(), n, args.x.shape[2], rows,
                           args.options});
  });
}

void post(const HcPostArgs& args) {
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_each(HcPostArgs::kOp, args.f.numel(),
                HcPost<T>{args.x.as<const T>(), args.f.as<const T>(), args.post.as<const float>(),
                          args.comb.as<const float>(), args.y.as<T>(), args.x.shape[1], args.x.shape[2]});
  });
}

}  // namespace

void add_hyper_connection_kernels() {
  add_kernel<HcPreArgs>(Device::cuda, "blocks", pre);
  add_kernel<HcPostArgs>(Device::cuda, "elements", post);
}

}  // namespace orrery::gpu
