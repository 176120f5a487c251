// The fast kernels of kernels/api/hyper_connection.h on Highway. The state is the widest tensor of the model, so each
// pass reads it once a block of tokens. The small coefficient matrices are worked on with a token a lane.
#include "kernels/api/hyper_connection.h"

#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/hyper_connection.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/gemm-inl.h"
#include "kernels/cpu/hyper_connection_plan.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Coefficients of kLanes tokens: matrices [n][n] of vectors, and every Sinkhorn stage for backward.
struct Lanes {
  float* z;       // [rows][kLanes] logits, then their gradients
  float* stages;  // [2 · iterations][n · n][kLanes]: stage 0 is softmax + eps, the last one comb
};

HWY_INLINE void normalize_lines(const float* in, float* out, std::int64_t n, bool by_row, float eps) {
  for (std::int64_t a = 0; a < n; ++a) {
    const std::int64_t first = by_row ? a * n : a, step = by_row ? 1 : n;
    Vec sum = set(eps);
    for (std::int64_t b = 0; b < n; ++b) sum = hn::Add(sum, load(in + (first + b * step) * kLanes));
    const Vec factor = hn::Div(set(1.0f), sum);
    for (std::int64_t b = 0; b < n; ++b)
      store(hn::Mul(load(in + (first + b * step) * kLanes), factor), out + (first + b * step) * kLanes);
  }
}

// g: gradient of the normalised matrix, becomes that of `in`.
HWY_INLINE void normalize_lines_backward(const float* in, float* g, std::int64_t n, bool by_row, float eps) {
  for (std::int64_t a = 0; a < n; ++a) {
    const std::int64_t first = by_row ? a * n : a, step = by_row ? 1 : n;
    Vec sum = set(eps), dot = zero();
    for (std::int64_t b = 0; b < n; ++b) {
      const Vec v = load(in + (first + b * step) * kLanes);
      sum = hn::Add(sum, v);
      dot = hn::MulAdd(v, load(g + (first + b * step) * kLanes), dot);
    }
    const Vec factor = hn::Div(set(1.0f), sum), shift = hn::Mul(hn::Mul(dot, factor), factor);
    for (std::int64_t b = 0; b < n; ++b) {
      float* at = g + (first + b * step) * kLanes;
      store(hn::MulSub(load(at), factor, shift), at);
    }
  }
}

void sinkhorn_lanes(const Lanes& lanes, std::int64_t n, const HcOptions& options) {
  const float* z = lanes.z + 2 * n * kLanes;
  for (std::int64_t i = 0; i < n; ++i) {
    Vec top = load(z + i * n * kLanes), total = zero();
    for (std::int64_t j = 1; j < n; ++j) top = hn::Max(top, load(z + (i * n + j) * kLanes));
    for (std::int64_t j = 0; j < n; ++j) {
      const Vec p = exp(hn::Sub(load(z + (i * n + j) * kLanes), top));
      total = hn::Add(total, p);
      store(p, lanes.stages + (i * n + j) * kLanes);
    }
    const Vec factor = hn::Div(set(1.0f), total);
    for (std::int64_t j = 0; j < n; ++j) {
      float* at = lanes.stages + (i * n + j) * kLanes;
      store(hn::MulAdd(load(at), factor, set(options.eps)), at);
    }
  }
  const std::int64_t size = n * n * kLanes;
  for (std::int64_t round = 0; round < 2 * options.iterations - 1; ++round)
    normalize_lines(lanes.stages + round * size, lanes.stages + (round + 1) * size, n, round % 2 == 1, options.eps);
}

// g [n · n][kLanes]: gradient of comb, becomes that of the logits.
void sinkhorn_lanes_backward(const Lanes& lanes, float* g, std::int64_t n, const HcOptions& options) {
  const std::int64_t size = n * n * kLanes;
  for (std::int64_t round = 2 * options.iterations - 2; round >= 0; --round)
    normalize_lines_backward(lanes.stages + round * size, g, n, round % 2 == 1, options.eps);
  const Vec eps = set(options.eps);
  for (std::int64_t i = 0; i < n; ++i) {
    Vec dot = zero();
    for (std::int64_t j = 0; j < n; ++j)
      dot = hn::MulAdd(hn::Sub(load(lanes.stages + (i * n + j) * kLanes), eps), load(g + (i * n + j) * kLanes), dot);
    for (std::int64_t j = 0; j < n; ++j) {
      float* at = g + (i * n + j) * kLanes;
      store(hn::Mul(hn::Sub(load(lanes.stages + (i * n + j) * kLanes), eps), hn::Sub(load(at), dot)), at);
    }
  }
}

// z = mix · scale + base of `count` ≤ kLanes tokens, a token a lane (the lanes beyond repeat the last token).
void load_logits(const float* mix, std::int64_t count, std::int64_t n, std::int64_t rows_, const float* base,
                 const float* scale, float* z) {
  for (std::int64_t r = 0; r < rows_; ++r)
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      z[r * kLanes + lane] = mix[std::min(lane, count - 1) * rows_ + r] * scale[r < 2 * n ? r / n : 2] + base[r];
}

// `count` tokens from `first`: pre, post and comb from mix.
void coefficients(const HcPreArgs& args, std::int64_t first, std::int64_t count, const Lanes& lanes) {
  const std::int64_t n = args.x.shape[1], fn_rows = args.fn.shape[0];
  load_logits(args.mix.as<const float>() + first * fn_rows, count, n, fn_rows, args.base.as<const float>(),
              args.scale.as<const float>(), lanes.z);
  const auto scatter = [&](const float* from, float* to, std::int64_t stride) {
    for (std::int64_t lane = 0; lane < count; ++lane) to[lane * stride] = from[lane];
  };
  for (std::int64_t m = 0; m < n; ++m) {
    float* at = lanes.z + m * kLanes;
    store(hn::Add(sigmoid(load(at)), set(args.options.eps)), at);
    scatter(at, args.pre.as<float>() + first * n + m, n);
    if (!args.post) continue;
    at += n * kLanes;
    store(hn::Mul(set(2.0f), sigmoid(load(at))), at);
    scatter(at, args.post.as<float>() + first * n + m, n);
  }
  if (!args.post) return;
  sinkhorn_lanes(lanes, n, args.options);
  const float* comb = lanes.stages + (2 * args.options.iterations - 1) * n * n * kLanes;
  for (std::int64_t i = 0; i < n * n; ++i) scatter(comb + i * kLanes, args.comb.as<float>() + first * n * n + i, n * n);
}

// The block's rows in f32, `stride` apart: the tensor itself where it is f32 and rows need no padding.
template <class T>
const float* block_rows(const TensorView& x, const HcPlan& plan, std::int64_t first, std::int64_t count, float* buffer,
                        std::int64_t& stride) {
  stride = plan.padded;
  if constexpr (sizeof(T) == sizeof(float))
    if (plan.padded == plan.width) return x.as<const float>() + first * plan.width;
  for (std::int64_t t = 0; t < count; ++t)
    widen_row(x.as<const T>() + (first + t) * plan.width, buffer + t * plan.padded, plan.width, plan.padded, 1.0f);
  return buffer;
}

template <class T>
void pre_block_of(const HcPreArgs& args, const HcPlan& plan, std::int64_t first, std::int64_t count, Arena& arena) {
  arena.reset(kHcBlock * (plan.padded + plan.padded_rows) + plan.lane_floats(kLanes));
  float *buffer = arena.take(kHcBlock * plan.padded), *raw = arena.take(kHcBlock * plan.padded_rows);
  const Lanes lanes{arena.take(plan.rows * kLanes), arena.take(plan.stage_floats(kLanes))};
  std::int64_t stride = 0;
  const float* x = block_rows<T>(args.x, plan, first, count, buffer, stride);
  gemm<false>(count, plan.padded_rows, plan.width, rows(x, stride), 1, rows(plan.fn_last, plan.padded_rows),
              rows(raw, plan.padded_rows));
  for (std::int64_t t = 0; t < count; ++t) {
    Vec squares = zero();
    for_vectors(plan.width, [&](std::int64_t, auto get, auto) HWY_ATTR {
      const Vec v = get(x + t * stride);
      squares = hn::MulAdd(v, v, squares);
    });
    const float inverse = 1.0f / std::sqrt(sum_of(squares) / static_cast<float>(plan.width) + args.options.norm_eps);
    args.inverse.as<float>()[first + t] = inverse;
    float* mix = args.mix.as<float>() + (first + t) * plan.rows;
    for (std::int64_t r = 0; r < plan.rows; ++r) mix[r] = raw[t * plan.padded_rows + r] * inverse;
  }
  for (std::int64_t t = 0; t < count; t += kLanes) coefficients(args, first + t, std::min(kLanes, count - t), lanes);
  for (std::int64_t t = 0; t < count; ++t) {
    const float* pre = args.pre.as<const float>() + (first + t) * plan.n;
    for_vectors(plan.d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
      Vec sum = zero();
      for (std::int64_t m = 0; m < plan.n; ++m) sum = hn::MulAdd(set(pre[m]), get(x + t * stride + m * plan.d), sum);
      put(sum, args.h.as<T>() + (first + t) * plan.d);
    });
  }
}

// Gradients of the logits of `count` tokens, with pre's dots in grad_pre [count][n]: written to grad_mix
// [count][stride] as inverse · scale · gradient, and added to the chunk's shares of base and scale. dots[t] = Σ_r
// grad_mix_r mix_r.
void grad_coefficients(const HcPreBackwardArgs& args, const HcPlan& plan, std::int64_t first, std::int64_t count,
                       const float* grad_pre, const Lanes& lanes, const HcShare& share, float* grad_mix, float* dots) {
  const std::int64_t n = plan.n, fn_rows = plan.rows;
  const float *mix = args.mix.as<const float>() + first * fn_rows, *scale = args.scale.as<const float>();
  load_logits(mix, count, n, fn_rows, args.base.as<const float>(), scale, lanes.z);
  if (args.grad_post) sinkhorn_lanes(lanes, n, args.options);
  const auto lane_of = [&](const float* from, std::int64_t stride, float* to) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) to[lane] = lane < count ? from[lane * stride] : 0.0f;
  };
  float column[HWY_MAX_BYTES / sizeof(float)];
  for (std::int64_t r = 0; r < (args.grad_post ? 2 * n : n); ++r) {
    const bool post = r >= n;
    post ? lane_of(args.grad_post.as<const float>() + first * n + r - n, n, column) : lane_of(grad_pre + r, n, column);
    const Vec s = sigmoid(load(lanes.z + r * kLanes)), slope = hn::Mul(s, hn::Sub(set(1.0f), s));
    store(hn::Mul(hn::Mul(load(column), slope), set(post ? 2.0f : 1.0f)), lanes.z + r * kLanes);
  }
  if (args.grad_post) {
    float* g = lanes.z + 2 * n * kLanes;
    for (std::int64_t i = 0; i < n * n; ++i)
      lane_of(args.grad_comb.as<const float>() + first * n * n + i, n * n, g + i * kLanes);
    sinkhorn_lanes_backward(lanes, g, n, args.options);
  }
  for (std::int64_t t = 0; t < count; ++t) {
    const float inverse = args.inverse.as<const float>()[first + t];
    float dot = 0;
    for (std::int64_t r = 0; r < fn_rows; ++r) {
      const std::int64_t part = r < 2 * n ? r / n : 2;
      const float g = lanes.z[r * kLanes + t], value = mix[t * fn_rows + r];
      share.base[r] += g;
      share.scale[part] += g * value;
      dot += g * scale[part] * value;
      grad_mix[t * plan.padded_rows + r] = g * scale[part] * inverse;
    }
    dots[t] = dot;
  }
}

template <class T>
void pre_backward_block(const HcPreBackwardArgs& args, const HcPlan& plan, std::int64_t first, std::int64_t count,
                        const HcShare& share, Arena& arena) {
  arena.reset(kHcBlock * (2 * plan.padded + plan.padded_rows + plan.n + 1) + plan.lane_floats(kLanes));
  float *buffer = arena.take(kHcBlock * plan.padded), *grad = arena.take(kHcBlock * plan.padded),
        *grad_mix = arena.take(kHcBlock * plan.padded_rows), *grad_pre = arena.take(kHcBlock * plan.n),
        *dots = arena.take(kHcBlock);
  const Lanes lanes{arena.take(plan.rows * kLanes), arena.take(plan.stage_floats(kLanes))};
  std::int64_t stride = 0;
  const float* x = block_rows<T>(args.x, plan, first, count, buffer, stride);
  const T* grad_h = args.grad_h.as<const T>() + first * plan.d;
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t m = 0; m < plan.n; ++m) {
      Vec dot = zero();
      for_vectors(plan.d, [&](std::int64_t, auto get, auto) HWY_ATTR {
        dot = hn::MulAdd(get(grad_h + t * plan.d), get(x + t * stride + m * plan.d), dot);
      });
      grad_pre[t * plan.n + m] = sum_of(dot);
    }
  for (std::int64_t t = 0; t < count; t += kLanes)
    grad_coefficients(args, plan, first + t, std::min(kLanes, count - t), grad_pre + t * plan.n, lanes, share,
                      grad_mix + t * plan.padded_rows, dots + t);
  gemm<false>(count, plan.padded, plan.rows, rows<const float>(grad_mix, plan.padded_rows), 1,
              rows(plan.fn, plan.padded), rows(grad, plan.padded));
  gemm<true>(plan.rows, plan.padded, count, rows<const float>(grad_mix, 1), plan.padded_rows, rows(x, stride),
             rows(share.fn, plan.padded));
  for (std::int64_t t = 0; t < count; ++t) {
    const float inverse = args.inverse.as<const float>()[first + t];
    const Vec shrink = set(inverse * inverse / static_cast<float>(plan.width) * dots[t]);
    for (std::int64_t m = 0; m < plan.n; ++m) {
      const Vec pre = set(args.pre.as<const float>()[(first + t) * plan.n + m]);
      const std::int64_t at = m * plan.d;
      for_vectors(plan.d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
        const Vec through =
            hn::MulAdd(pre, get(grad_h + t * plan.d), get(static_cast<const float*>(grad) + t * plan.padded + at));
        put(hn::NegMulAdd(shrink, get(x + t * stride + at), through),
            args.grad_x.as<T>() + (first + t) * plan.width + at);
      });
    }
  }
}

// One token. kFixed: the number of streams where it is known, so that the coefficients stay in registers; else 0.
template <int kFixed, class T>
HWY_INLINE void post_token(const HcPostArgs& args, std::int64_t t) {
  const std::int64_t n = kFixed ? kFixed : args.x.shape[1], d = args.x.shape[2];
  const float *post = args.post.as<const float>() + t * n, *comb = args.comb.as<const float>() + t * n * n;
  const T *x = args.x.as<const T>() + t * n * d, *f = args.f.as<const T>() + t * d;
  T* y = args.y.as<T>() + t * n * d;
  for_vectors(d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
    Vec out[kFixed ? kFixed : kMostStreams];
    const Vec update = get(f);
    for (std::int64_t k = 0; k < n; ++k) out[k] = hn::Mul(set(post[k]), update);
    for (std::int64_t m = 0; m < n; ++m) {
      const Vec in = get(x + m * d);
      for (std::int64_t k = 0; k < n; ++k) out[k] = hn::MulAdd(set(comb[m * n + k]), in, out[k]);
    }
    for (std::int64_t k = 0; k < n; ++k) put(out[k], y + k * d);
  });
}

template <int kFixed, class T>
HWY_INLINE void post_backward_token(const HcPostBackwardArgs& args, std::int64_t t) {
  constexpr int kMost = kFixed ? kFixed : kMostStreams;
  const std::int64_t n = kFixed ? kFixed : args.x.shape[1], d = args.x.shape[2];
  const float *post = args.post.as<const float>() + t * n, *comb = args.comb.as<const float>() + t * n * n;
  const T *x = args.x.as<const T>() + t * n * d, *f = args.f.as<const T>() + t * d,
          *grad_y = args.grad_y.as<const T>() + t * n * d;
  T *grad_x = args.grad_x.as<T>() + t * n * d, *grad_f = args.grad_f.as<T>() + t * d;
  Vec grad_post[kMost], grad_comb[kMost * kMost];
  for (std::int64_t k = 0; k < n; ++k) grad_post[k] = zero();
  for (std::int64_t i = 0; i < n * n; ++i) grad_comb[i] = zero();
  for_vectors(d, [&](std::int64_t, auto get, auto put) HWY_ATTR {
    Vec g[kMost];
    const Vec update = get(f);
    Vec to_f = zero();
    for (std::int64_t k = 0; k < n; ++k) {
      g[k] = get(grad_y + k * d);
      to_f = hn::MulAdd(set(post[k]), g[k], to_f);
      grad_post[k] = hn::MulAdd(g[k], update, grad_post[k]);
    }
    put(to_f, grad_f);
    for (std::int64_t m = 0; m < n; ++m) {
      const Vec in = get(x + m * d);
      Vec to_x = zero();
      for (std::int64_t k = 0; k < n; ++k) {
        to_x = hn::MulAdd(set(comb[m * n + k]), g[k], to_x);
        grad_comb[m * n + k] = hn::MulAdd(in, g[k], grad_comb[m * n + k]);
      }
      put(to_x, grad_x + m * d);
    }
  });
  for (std::int64_t k = 0; k < n; ++k) args.grad_post.as<float>()[t * n + k] = sum_of(grad_post[k]);
  for (std::int64_t i = 0; i < n * n; ++i) args.grad_comb.as<float>()[t * n * n + i] = sum_of(grad_comb[i]);
}

void pre_block(const HcPreArgs& args, const HcPlan& plan, std::int64_t first, std::int64_t count, Arena& arena) {
  args.x.dtype == DType::bf16 ? pre_block_of<BFloat16>(args, plan, first, count, arena)
                              : pre_block_of<float>(args, plan, first, count, arena);
}

void pre_backward_chunk(const HcPreBackwardArgs& args, const HcPlan& plan, std::int64_t begin, std::int64_t end,
                        const HcShare& share, Arena& arena) {
  for (std::int64_t first = begin; first < end; first += kHcBlock) {
    const std::int64_t count = std::min(kHcBlock, end - first);
    args.x.dtype == DType::bf16 ? pre_backward_block<BFloat16>(args, plan, first, count, share, arena)
                                : pre_backward_block<float>(args, plan, first, count, share, arena);
  }
}

void post_tokens(const HcPostArgs& args, std::int64_t begin, std::int64_t end) {
  const bool four = args.x.shape[1] == 4, half = args.x.dtype == DType::bf16;
  for (std::int64_t t = begin; t < end; ++t)
    if (four)
      half ? post_token<4, BFloat16>(args, t) : post_token<4, float>(args, t);
    else
      half ? post_token<0, BFloat16>(args, t) : post_token<0, float>(args, t);
}

void post_backward_tokens(const HcPostBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  const bool four = args.x.shape[1] == 4, half = args.x.dtype == DType::bf16;
  for (std::int64_t t = begin; t < end; ++t)
    if (four)
      half ? post_backward_token<4, BFloat16>(args, t) : post_backward_token<4, float>(args, t);
    else
      half ? post_backward_token<0, BFloat16>(args, t) : post_backward_token<0, float>(args, t);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(pre_block);
HWY_EXPORT(pre_backward_chunk);
HWY_EXPORT(post_tokens);
HWY_EXPORT(post_backward_tokens);

void hc_pre(const HcPreArgs& args) {
  HcPlan plan(args);
  static thread_local Arena shared;
  shared.reset(plan.width * plan.padded_rows);
  float* fn_last = shared.take(plan.width * plan.padded_rows);  // fn transposed, rows padded with zeros
  const float* fn = args.fn.as<const float>();
  for (std::int64_t i = 0; i < plan.width; ++i)
    for (std::int64_t r = 0; r < plan.padded_rows; ++r)
      fn_last[i * plan.padded_rows + r] = r < plan.rows ? fn[r * plan.width + i] : 0.0f;
  plan.fn_last = fn_last;
  parallel_tasks((plan.tokens + kHcBlock - 1) / kHcBlock, [&](std::int64_t block) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(pre_block)
    (args, plan, block * kHcBlock, std::min(kHcBlock, plan.tokens - block * kHcBlock), arena);
  });
}

void hc_pre_backward(const HcPreBackwardArgs& args) {
  HcPlan plan(args);
  // Whole blocks, at most 16 chunks: the shape's choice, so that the sums over tokens are too.
  const std::int64_t length = ((plan.tokens + 15) / 16 + kHcBlock - 1) / kHcBlock * kHcBlock;
  const std::int64_t chunks = plan.tokens == 0 ? 0 : (plan.tokens + length - 1) / length,
                     size = plan.rows * plan.padded;
  const std::int64_t share_size = size + plan.rows + 16;
  static thread_local Arena shared;
  shared.reset(size + std::max<std::int64_t>(1, chunks) * share_size);
  float *fn = shared.take(size), *shares = shared.take(chunks * share_size);
  for (std::int64_t r = 0; r < plan.rows; ++r)
    for (std::int64_t i = 0; i < plan.padded; ++i)
      fn[r * plan.padded + i] = i < plan.width ? args.fn.as<const float>()[r * plan.width + i] : 0.0f;
  plan.fn = fn;
  parallel_tasks(chunks, [&](std::int64_t chunk) {
    static thread_local Arena arena;
    float* share = shares + chunk * share_size;
    std::fill(share, share + share_size, 0.0f);
    HWY_DYNAMIC_DISPATCH(pre_backward_chunk)
    (args, plan, chunk * length, std::min(plan.tokens, (chunk + 1) * length),
     {share, share + size, share + size + plan.rows}, arena);
  });
  float* total = fn;  // fn has been read
  const auto add = [&](std::int64_t offset, std::int64_t count, float* out) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) out[i] += shares[chunk * share_size + offset + i];
    }
  };
  parallel_blocks(size, 4096, [&](std::int64_t begin, std::int64_t end) { add(begin, end - begin, total + begin); });
  for (std::int64_t r = 0; r < plan.rows; ++r)
    std::copy(total + r * plan.padded, total + r * plan.padded + plan.width, args.grad_fn.as<float>() + r * plan.width);
  add(size, plan.rows, args.grad_base.as<float>());
  add(size + plan.rows, args.grad_scale.numel(), args.grad_scale.as<float>());
}

std::int64_t grain(const TensorView& x) { return 1 + (1 << 14) / std::max<std::int64_t>(1, x.shape[1] * x.shape[2]); }

void hc_post(const HcPostArgs& args) {
  parallel_blocks(args.x.shape[0], grain(args.x), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(post_tokens)(args, begin, end);
  });
}

void hc_post_backward(const HcPostBackwardArgs& args) {
  parallel_blocks(args.x.shape[0], grain(args.x), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(post_backward_tokens)(args, begin, end);
  });
}

}  // namespace

void add_hyper_connection_kernels() {
  add_kernel<HcPreArgs>(Device::cpu, "simd", hc_pre);
  add_kernel<HcPreBackwardArgs>(Device::cpu, "simd", hc_pre_backward);
  add_kernel<HcPostArgs>(Device::cpu, "simd", hc_post, [](const HcPostArgs& args) {
    return args.x.shape[1] <= kMostStreams ? nullptr : "more than 8 streams";
  });
  add_kernel<HcPostBackwardArgs>(Device::cpu, "simd", hc_post_backward, [](const HcPostBackwardArgs& args) {
    return args.x.shape[1] <= kMostStreams ? nullptr : "more than 8 streams";
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
