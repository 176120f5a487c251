// Hyper-connections, backward: a thread a token for the Sinkhorn rounds, a warp two tokens for what else is a token's
// own, then sums over tokens in parts.
#include <algorithm>
#include <cmath>

#include "kernels/api/hyper_connection.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/sinkhorn.cuh"
#include "kernels/cuda/values.cuh"
#include "kernels/cuda/vectors.cuh"

namespace orrery::gpu {

namespace {

constexpr std::int64_t kRowsAtOnce = 8;
constexpr int kTokens = 2;  // of a warp: they share what is read of fn

// The gradients of comb's logits from those of comb, by one thread.
struct CombBackward {
  const float *mix, *base, *scale, *grad_comb;
  float* grad_logits;  ///< [T, rows], the last n · n of a row
  int n, rows;
  HcOptions options;

  ORRERY_ON_DEVICE void operator()(std::int64_t t, const Cells& g) const {
    const int cells = n * n, rounds = 2 * options.iterations - 1;
    const Cells stages = g.from(cells);  // the matrix before every round
    for (int i = 0; i < cells; ++i) {
      g[i] = grad_comb[t * cells + i];
      stages[i] = mix[t * rows + 2 * n + i] * scale[2] + base[2 * n + i];
    }
    sinkhorn_start(stages, n, options.eps);
    for (int round = 0; round + 1 < rounds; ++round) {
      const Cells before = stages.from(round * cells), next = before.from(cells);
      for (int i = 0; i < cells; ++i) next[i] = before[i];
      normalize_lines(next, n, round % 2 == 1, options.eps);
    }
    for (int round = rounds - 1; round >= 0; --round)
      normalize_lines_backward(stages.from(round * cells), g, n, round % 2 == 1, options.eps);
    float* out = grad_logits + t * rows + 2 * n;
    for (int i = 0; i < n; ++i) {
      float dot = 0;
      for (int j = 0; j < n; ++j) dot += (stages[i * n + j] - options.eps) * g[i * n + j];
      for (int j = 0; j < n; ++j) out[i * n + j] = (stages[i * n + j] - options.eps) * (g[i * n + j] - dot);
    }
  }
};

// A warp kTokens tokens: grad_x, and what the sums over tokens need: the gradient of each logit (comb's are there
// already), and of each mix times the token's inverse.
template <class T, int kCount>
struct PreBackward {
  const T* x;
  const float *fn, *base, *scale, *mix, *inverse, *pre;
  const T* grad_h;
  const float* grad_post;
  T* grad_x;
  float *grad_logits, *grad_mix;  ///< [T, rows]
  std::int64_t tokens;
  int n, d, rows;

  ORRERY_ON_DEVICE void operator()(std::int64_t index, int lane, unsigned char* memory) const {
    auto* to_mix = reinterpret_cast<float*>(memory);  // [rows][kTokens]
    float along[kTokens];
    ORRERY_UNROLL
    for (int j = 0; j < kTokens; ++j) {
      const std::int64_t t = token_of(index, j);
      const float norm = inverse[t], dot = warp_sum(through_logits(t, norm, to_mix + j, lane));
      along[j] = norm * norm / static_cast<float>(n * d) * dot;
    }
    warp_sync();
    for (int m = 0; m < n; ++m)
      for (int i = lane * kCount; i < d; i += kWarp * kCount) write_grad_x(index, m, i, along, to_mix);
  }
  /// The last token stands in for those beyond it: it is worked out again, with the same result.
  ORRERY_ON_DEVICE std::int64_t token_of(std::int64_t index, int j) const {
    const std::int64_t t = index * kTokens + j;
    return t < tokens ? t : tokens - 1;
  }
  /// The token's grad_logits, grad_mix and to_mix; returns the lane's share of Σ grad_mix · mix / inverse.
  ORRERY_ON_DEVICE float through_logits(std::int64_t t, float norm, float* to_mix, int lane) const {
    float weight = 0, result = 0;  // of stream `lane` in h: its gradient
    for (int m = 0; m < n; ++m) {
      float dot = 0;
      for (int i = lane * kCount; i < d; i += kWarp * kCount) {
        float a[kCount], b[kCount];
        load_values(a, grad_h + t * d + i);
        load_values(b, x + (t * n + m) * d + i);
        ORRERY_UNROLL
        for (int e = 0; e < kCount; ++e) dot += a[e] * b[e];
      }
      dot = warp_sum(dot);
      if (lane == m) weight = dot;
    }
    for (int r = lane; r < rows; r += kWarp) {
      const float own_mix = mix[t * rows + r], factor = scale[r < 2 * n ? r / n : 2];
      float g;
      if (r < 2 * n) {
        const float s = sigmoid(own_mix * factor + base[r]);
        g = (r < n ? weight : 2 * grad_post[t * n + r - n]) * s * (1 - s);
        grad_logits[t * rows + r] = g;
      } else {
        g = grad_logits[t * rows + r];
      }
      const float own = g * factor;
      result += own * own_mix;
      to_mix[r * kTokens] = own * norm;
      grad_mix[t * rows + r] = own * norm;
    }
    return result;
  }
  /// kCount elements of stream m from i.
  ORRERY_ON_DEVICE void write_grad_x(std::int64_t index, int m, int i, const float (&along)[kTokens],
                                     const float* to_mix) const {
    const std::int64_t width = std::int64_t{n} * d, at = std::int64_t{m} * d + i;
    float sums[kTokens][kCount];
    ORRERY_UNROLL
    for (int j = 0; j < kTokens; ++j) {
      const std::int64_t t = token_of(index, j);
      const float weight = pre[t * n + m];
      float a[kCount], b[kCount];
      load_values(a, grad_h + t * d + i);
      load_values(b, x + t * width + at);
      ORRERY_UNROLL
      for (int e = 0; e < kCount; ++e) sums[j][e] = weight * a[e] - along[j] * b[e];
    }
    for (int r = 0; r < rows; ++r) {
      float factors[kCount];
      load_values(factors, fn + r * width + at);
      ORRERY_UNROLL
      for (int j = 0; j < kTokens; ++j) {
        const float own = to_mix[r * kTokens + j];
        ORRERY_UNROLL
        for (int e = 0; e < kCount; ++e) sums[j][e] += own * factors[e];
      }
    }
    ORRERY_UNROLL
    for (int j = 0; j < kTokens; ++j)
      if (index * kTokens + j < tokens) store_values(grad_x + (index * kTokens + j) * width + at, sums[j]);
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
  const auto *base = args.base.as<const float>(), *scale = args.scale.as<const float>(),
             *mix = args.mix.as<const float>(), *fn = args.fn.as<const float>();
  const int streams = static_cast<int>(n), fn_rows = static_cast<int>(rows);
  if (args.grad_post)
    launch_sinkhorn(
        op, tokens, 2 * args.options.iterations * n * n,
        CombBackward{mix, base, scale, args.grad_comb.as<const float>(), grad_logits, streams, fn_rows, args.options});
  with_vectors(
      args.x.dtype, d, all_aligned(args.x.data, args.grad_h.data, args.grad_x.data, fn), [&]<class T, int kCount>() {
        launch_rows(op, (tokens + kTokens - 1) / kTokens, (rows * kTokens * kFloat + 15) / 16 * 16,
                    PreBackward<T, kCount>{args.x.as<const T>(), fn, base, scale, mix, args.inverse.as<const float>(),
                                           args.pre.as<const float>(), args.grad_h.as<const T>(),
                                           args.grad_post.as<const float>(), args.grad_x.as<T>(), grad_logits, grad_mix,
                                           tokens, streams, static_cast<int>(d), fn_rows});
      });
  with_float_type(args.x.dtype, [&]<class T>() {
    const auto* x = args.x.as<const T>();
    const std::int64_t groups = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
    launch_each(op, parts * groups * width, FnParts<T>{x, grad_mix, partial, tokens, parts, rows, width});
  });
  sum_columns(op, partial, parts, rows * width, rows * width, args.grad_fn.as<float>());
  const std::int64_t logit_parts = row_parts(tokens);
  partial = static_cast<float*>(scratch(kScratchPartial, logit_parts * 2 * rows * kFloat));
  launch_each(op, logit_parts * rows, LogitParts{grad_logits, mix, partial, tokens, logit_parts, rows});
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
    const auto [t, c] = divided(i, d);
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
    const auto [t, rest] = divided(index, n * (n + 1));
    const auto [stream, k] = divided(rest, n);
    const std::int64_t m = stream - 1;
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
  add_kernel<HcPreBackwardArgs>(Device::cuda, "warps", pre_backward);
  add_kernel<HcPostBackwardArgs>(Device::cuda, "elements", post_backward);
}

}  // namespace orrery::gpu
