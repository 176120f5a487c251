// Hyper-connections, backward: a block a token for what is the token's own, then sums over tokens in parts.
#include <algorithm>
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
constexpr std::int64_t kRowsAtOnce = 8;

// grad_x, and what the sums over tokens need: the gradient of each logit, and of each mix times the token's inverse.
template <class T>
struct PreBackward {
  const T* x;
  const float *fn, *base, *scale, *mix, *inverse, *pre;
  const T* grad_h;
  const float *grad_post, *grad_comb;
  T* grad_x;
  float *grad_logits, *grad_mix;  ///< [T, rows]
  std::int64_t n, d, rows;
  HcOptions options;

  // The logits' gradients g from those of comb, by one thread; `stages` holds the matrix before every round.
  ORRERY_ON_DEVICE void through_sinkhorn(const float* z, float* stages, float* g) const {
    const int size = static_cast<int>(n), cells = size * size, rounds = 2 * options.iterations - 1;
    sinkhorn_start(z, stages, size, options.eps);
    for (int round = 0; round + 1 < rounds; ++round) {
      float* next = stages + (round + 1) * cells;
      for (int i = 0; i < cells; ++i) next[i] = stages[round * cells + i];
      normalize_lines(next, size, round % 2 == 1, options.eps);
    }
    for (int round = rounds - 1; round >= 0; --round)
      normalize_lines_backward(stages + round * cells, g, size, round % 2 == 1, options.eps);
    for (int i = 0; i < size; ++i) {
      float dot = 0;
      for (int j = 0; j < size; ++j) dot += (stages[i * size + j] - options.eps) * g[i * size + j];
      for (int j = 0; j < size; ++j) g[i * size + j] = (stages[i * size + j] - options.eps) * (g[i * size + j] - dot);
    }
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto* z = reinterpret_cast<float*>(block.memory + kReduceBytes);  // [rows]
    auto *g = z + rows, *to_mix = g + rows, *stages = to_mix + rows;
    const std::int64_t t = block.index, width = n * d;
    for (std::int64_t r = block.thread; r < rows; r += block.threads)
      z[r] = mix[t * rows + r] * scale[r < 2 * n ? r / n : 2] + base[r];
    block.sync();
    for (std::int64_t m = block.warp(); m < n; m += block.warps()) {
      float dot = 0;
      for (std::int64_t i = block.lane(); i < d; i += kWarp)
        dot += to_float(grad_h[t * d + i]) * to_float(x[(t * n + m) * d + i]);
      dot = warp_sum(dot);
      const float s = sigmoid(z[m]);
      if (block.lane() == 0) g[m] = dot * s * (1 - s);
    }
    if (grad_post) {
      for (std::int64_t r = n + block.thread; r < 2 * n; r += block.threads) {
        const float s = sigmoid(z[r]);
        g[r] = grad_post[t * n + r - n] * 2 * s * (1 - s);
      }
      if (block.thread == 0) {
        for (std::int64_t i = 0; i < n * n; ++i) g[2 * n + i] = grad_comb[t * n * n + i];
        through_sinkhorn(z + 2 * n, stages, g + 2 * n);
      }
    }
    block.sync();
    const float norm = inverse[t];
    float dot = 0;
    for (std::int64_t r = block.thread; r < rows; r += block.threads) {
      const float own = g[r] * scale[r < 2 * n ? r / n : 2];
      to_mix[r] = own * norm;
      dot += own * mix[t * rows + r];
      grad_logits[t * rows + r] = g[r];
      grad_mix[t * rows + r] = own * norm;
    }
    dot = block_sum(block, dot, block.memory);  // its barriers also show to_mix to all
    const float along = norm * norm / static_cast<float>(width) * dot;
    for (std::int64_t i = block.thread; i < width; i += block.threads) {
      float sum = pre[t * n + i / d] * to_float(grad_h[t * d + i % d]) - along * to_float(x[t * width + i]);
      for (std::int64_t r = 0; r < rows; ++r) sum += to_mix[r] * fn[r * width + i];
      grad_x[t * width + i] = from_float<T>(sum);
    }
  }
};

// partial[part, r, i] = Σ over the part's tokens of grad_mix[t, r] · x[t, i]; a thread has eight r of one i.
template <class T>
struct FnParts {
  const T* x;
  const float* grad_mix;
  float* partial;
  std::int64_t tokens, parts, rows, width;
  ORRERY_ON_DEVICE void operator()(std::int64_t index) const {
    const std::int64_t groups = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
    const std::int64_t i = index % width, first = index / width % groups * kRowsAtOnce, part = index / width / groups;
    float sums[kRowsAtOnce] = {};
    for (std::int64_t t = tokens * part / parts; t < tokens * (part + 1) / parts; ++t) {
      const float value = to_float(x[t * width + i]);
      for (std::int64_t k = 0; k < kRowsAtOnce; ++k)
        if (first + k < rows) sums[k] += grad_mix[t * rows + first + k] * value;
    }
    for (std::int64_t k = 0; k < kRowsAtOnce; ++k)
      if (first + k < rows) partial[(part * rows + first + k) * width + i] = sums[k];
  }
};

// A logit's gradient summed over a part's tokens is base's, times mix a share of scale's: partial[part, 2 · rows].
struct LogitParts {
  const float *grad_logits, *mix;
  float* partial;
  std::int64_t tokens, parts, rows;
  ORRERY_ON_DEVICE void operator()(std::int64_t index) const {
    const std::int64_t part = index / rows, r = index % rows;
    float plain = 0, scaled = 0;
    for (std::int64_t t = tokens * part / parts; t < tokens * (part + 1) / parts; ++t) {
      plain += grad_logits[t * rows + r];
      scaled += grad_logits[t * rows + r] * mix[t * rows + r];
    }
    partial[part * 2 * rows + r] = plain;
    partial[part * 2 * rows + rows + r] = scaled;
  }
};

struct ScaleSums {
  const float* scale_parts;
  float* grad_scale;
  std::int64_t n, rows;
  ORRERY_ON_DEVICE void operator()(std::int64_t part) const {
    float sum = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      if ((r < 2 * n ? r / n : 2) == part) sum += scale_parts[r];
    grad_scale[part] = sum;
  }
};

void pre_backward(const HcPreBackwardArgs& args) {
  const char* op = HcPreBackwardArgs::kOp;
  constexpr std::int64_t kFloat = sizeof(float);
  const std::int64_t tokens = args.x.shape[0], n = args.x.shape[1], d = args.x.shape[2], rows = args.fn.shape[0],
                     width = n * d, parts = std::clamp<std::int64_t>((tokens + 31) / 32, 1, 256);
  auto* grad_logits = static_cast<float*>(scratch(kScratchRows, (2 * tokens + 1) * rows * kFloat));
  float *grad_mix = grad_logits + tokens * rows, *scale_parts = grad_mix + tokens * rows;
  auto* partial = static_cast<float*>(scratch(kScratchPartial, parts * rows * width * kFloat));
  const std::int64_t stages = args.grad_post ? (2 * args.options.iterations - 1) * n * n : 0;
  with_float_type(args.x.dtype, [&]<class T>() {
    const auto* x = args.x.as<const T>();
    launch_blocks(
        op, tokens, kThreads, kReduceBytes + (3 * rows + stages) * kFloat,
        PreBackward<T>{x, args.fn.as<const float>(), args.base.as<const float>(), args.scale.as<const float>(),
                       args.mix.as<const float>(), args.inverse.as<const float>(), args.pre.as<const float>(),
                       args.grad_h.as<const T>(), args.grad_post.as<const float>(), args.grad_comb.as<const float>(),
                       args.grad_x.as<T>(), grad_logits, grad_mix, n, d, rows, args.options});
    const std::int64_t groups = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
    launch_each(op, parts * groups * width, FnParts<T>{x, grad_mix, partial, tokens, parts, rows, width});
  });
  sum_columns(op, partial, parts, rows * width, rows * width, args.grad_fn.as<float>());
  const std::int64_t logit_parts = row_parts(tokens);
  partial = static_cast<float*>(scratch(kScratchPartial, logit_parts * 2 * rows * kFloat));
  launch_each(op, logit_parts * rows,
              LogitParts{grad_logits, args.mix.as<const float>(), partial, tokens, logit_parts, rows});
  sum_columns(op, partial, logit_parts, 2 * rows, rows, args.grad_base.as<float>());
  sum_columns(op, partial + rows, logit_parts, 2 * rows, rows, scale_parts);
  launch_each(op, args.grad_scale.numel(), ScaleSums{scale_parts, args.grad_scale.as<float>(), n, rows});
}

// A thread an element of all n streams.
template <class T>
struct PostElements {
  const float *post, *comb;
  const T* grad_y;
  T *grad_x, *grad_f;
  std::int64_t n, d;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t t = i / d, c = i % d;
    float sum = 0;
    for (std::int64_t k = 0; k < n; ++k) sum += post[t * n + k] * to_float(grad_y[(t * n + k) * d + c]);
    grad_f[i] = from_float<T>(sum);
    for (std::int64_t m = 0; m < n; ++m) {
      sum = 0;
      for (std::int64_t k = 0; k < n; ++k) sum += comb[(t * n + m) * n + k] * to_float(grad_y[(t * n + k) * d + c]);
      grad_x[(t * n + m) * d + c] = from_float<T>(sum);
    }
  }
};

// A warp a dot product: for each stream k of grad_y with f, and with each stream of x.
template <class T>
struct PostDots {
  const T *x, *f, *grad_y;
  float *grad_post, *grad_comb;
  std::int64_t n, d;
  ORRERY_ON_DEVICE void operator()(std::int64_t index, int lane, unsigned char*) const {
    const std::int64_t t = index / (n * (n + 1)), rest = index % (n * (n + 1)), k = rest % n, m = rest / n - 1;
    const T *a = grad_y + (t * n + k) * d, *b = m < 0 ? f + t * d : x + (t * n + m) * d;
    float dot = 0;
    for (std::int64_t i = lane; i < d; i += kWarp) dot += to_float(a[i]) * to_float(b[i]);
    dot = warp_sum(dot);
    if (lane == 0) (m < 0 ? grad_post[t * n + k] : grad_comb[(t * n + m) * n + k]) = dot;
  }
};

void post_backward(const HcPostBackwardArgs& args) {
  const char* op = HcPostBackwardArgs::kOp;
  const std::int64_t tokens = args.x.shape[0], n = args.x.shape[1], d = args.x.shape[2];
  with_float_type(args.x.dtype, [&]<class T>() {
    const auto* grad_y = args.grad_y.as<const T>();
    launch_each(op, tokens * d,
                PostElements<T>{args.post.as<const float>(), args.comb.as<const float>(), grad_y, args.grad_x.as<T>(),
                                args.grad_f.as<T>(), n, d});
    launch_rows(op, tokens * n * (n + 1), 0,
                PostDots<T>{args.x.as<const T>(), args.f.as<const T>(), grad_y, args.grad_post.as<float>(),
                            args.grad_comb.as<float>(), n, d});
  });
}

}  // namespace

void add_hyper_connection_backward_kernels() {
  add_kernel<HcPreBackwardArgs>(Device::cuda, "blocks", pre_backward);
  add_kernel<HcPostBackwardArgs>(Device::cuda, "elements", post_backward);
}

}  // namespace orrery::gpu
