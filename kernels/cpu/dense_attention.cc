// Dense attention in blocks of queries and chunks of keys with a running softmax (Dao et al. 2022): products by oneDNN,
// rows on Highway. No [queries, keys] buffer. A task is a query block of one head (forward) or one key head (backward).
#include "kernels/api/dense_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dense_attention.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

#ifndef ORRERY_DENSE_ATTENTION_ROW_
#define ORRERY_DENSE_ATTENTION_ROW_
namespace orrery {
/// A row's running softmax: the maximum so far and the sum of e^(score − max).
struct RowSoftmax {
  float max, sum;
};
}  // namespace orrery
#endif

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// scores → scaled, masked ones; returns their maximum. Columns from `seen` on are left alone.
float scale_row(float* scores, std::int64_t seen, float scale, const float* mask) {
  const Vec factor = set(scale);
  Vec top = set(kUnseen);
  std::int64_t i = 0;
  for (; i + kLanes <= seen; i += kLanes) {
    const Vec v = mask ? hn::MulAdd(load(scores + i), factor, load(mask + i)) : hn::Mul(load(scores + i), factor);
    store(v, scores + i);
    top = hn::Max(top, v);
  }
  float max = max_of(top);
  for (; i < seen; ++i) {
    scores[i] = scores[i] * scale + (mask ? mask[i] : 0.0f);
    max = scores[i] > max ? scores[i] : max;
  }
  return max;
}

// weights[i] = e^(scores[i] − shift) for i < seen, 0 up to width; returns their sum.
template <class T>
float weigh_row(const float* scores, T* weights, std::int64_t seen, std::int64_t width, float shift) {
  const Vec center = set(shift);
  Vec sum = zero();
  std::int64_t i = 0;
  for (; i + kLanes <= seen; i += kLanes) {
    const Vec e = keep_nan(load(scores + i), exp_below_zero(hn::Sub(load(scores + i), center)));
    store(e, weights + i);
    sum = hn::Add(sum, e);
  }
  if (i < seen) {
    const auto tail = hn::FirstN(Floats(), static_cast<std::size_t>(seen - i));
    const Vec s = load_part(scores + i, seen - i);
    const Vec e = hn::IfThenElseZero(tail, keep_nan(s, exp_below_zero(hn::Sub(s, center))));
    store_part(e, weights + i, seen - i);
    sum = hn::Add(sum, e);
  }
  for (i = seen; i < width; ++i) weights[i] = from_float<T>(0.0f);
  return sum_of(sum);
}

// slopes[i] = weights[i] · (grads[i] − delta) · scale for i < seen, 0 up to width.
template <class T>
void slope_row(const T* weights, const float* grads, T* slopes, std::int64_t seen, std::int64_t width, float delta,
               float scale) {
  const Vec center = set(delta), factor = set(scale);
  for_vectors(seen, [&](std::int64_t, auto in, auto out)
                        HWY_ATTR { out(hn::Mul(hn::Mul(in(weights), hn::Sub(in(grads), center)), factor), slopes); });
  for (std::int64_t i = seen; i < width; ++i) slopes[i] = from_float<T>(0.0f);
}

template <class T>
float dot_row(const T* a, const T* b, std::int64_t count) {
  Vec sum = zero();
  for_vectors(count, [&](std::int64_t, auto in, auto) HWY_ATTR { sum = hn::MulAdd(in(a), in(b), sum); });
  return sum_of(sum);
}

}  // namespace

RowSoftmax attention_row(float* scores, void* weights, bool half, std::int64_t seen, std::int64_t width, float scale,
                         const float* mask, RowSoftmax before, float* out, std::int64_t out_width) {
  const float max = std::max(before.max, scale_row(scores, seen, scale, mask));
  const float shift = max == kUnseen ? 0.0f : max, keep = before.max == kUnseen ? 0.0f : std::exp(before.max - shift);
  const float sum = half ? weigh_row(scores, static_cast<BFloat16*>(weights), seen, width, shift)
                         : weigh_row(scores, static_cast<float*>(weights), seen, width, shift);
  const Vec factor = set(keep);
  for_vectors(out_width, [&](std::int64_t, auto in, auto to) HWY_ATTR { to(hn::Mul(in(out), factor), out); });
  return {max, before.sum * keep + sum};
}

void attention_finish(const float* total, void* out, bool half, std::int64_t width, float sum) {
  const float factor = sum == 0 ? 0.0f : 1.0f / sum;
  half ? narrow_row(total, static_cast<BFloat16*>(out), width, factor)
       : narrow_row(total, static_cast<float*>(out), width, factor);
}

void attention_weights(float* scores, void* weights, bool half, std::int64_t seen, std::int64_t width, float scale,
                       const float* mask, float lse) {
  scale_row(scores, seen, scale, mask);
  const std::int64_t real = lse == kUnseen ? 0 : seen;
  half ? weigh_row(scores, static_cast<BFloat16*>(weights), real, width, lse)
       : weigh_row(scores, static_cast<float*>(weights), real, width, lse);
}

void attention_slopes(const void* weights, const float* grads, void* slopes, bool half, std::int64_t seen,
                      std::int64_t width, float delta, float scale) {
  if (half)
    slope_row(static_cast<const BFloat16*>(weights), grads, static_cast<BFloat16*>(slopes), seen, width, delta, scale);
  else
    slope_row(static_cast<const float*>(weights), grads, static_cast<float*>(slopes), seen, width, delta, scale);
}

float attention_dot(const void* a, const void* b, bool half, std::int64_t count) {
  return half ? dot_row(static_cast<const BFloat16*>(a), static_cast<const BFloat16*>(b), count)
              : dot_row(static_cast<const float*>(a), static_cast<const float*>(b), count);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(attention_row);
HWY_EXPORT(attention_finish);
HWY_EXPORT(attention_weights);
HWY_EXPORT(attention_slopes);
HWY_EXPORT(attention_dot);

using onednn::Gemm;
using onednn::Matrix;

constexpr std::int64_t kQueries = 128, kKeys = 1024, kStep = 64;

// What weights and slopes are held in between two products: q's dtype where the products take it as it is.
DType held(DType dtype) { return onednn::native_bf16() ? dtype : DType::f32; }

// Rows t of head h: a matrix of row stride strides[1].
Matrix rows_at(const TensorView& view, std::int64_t b, std::int64_t t, std::int64_t h) {
  const std::int64_t at = b * view.strides[0] + t * view.strides[1] + h * view.strides[2];
  return {static_cast<std::byte*>(view.data) + at * size_of(view.dtype), view.dtype, 0, view.strides[1], 1};
}
Matrix turned(Matrix matrix) {
  std::swap(matrix.row_stride, matrix.column_stride);
  return matrix;
}
std::byte* row_of(const Matrix& matrix, std::int64_t row) {
  return static_cast<std::byte*>(matrix.data) + row * matrix.row_stride * size_of(matrix.dtype);
}

void product(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix& a, const Matrix& b, const Matrix& c,
             bool accumulate) {
  Gemm gemm;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  gemm.a = a;
  gemm.b = b;
  gemm.c = c;
  gemm.accumulate = accumulate;
  onednn::gemm_here(gemm);
}

// A block of queries against chunks of keys, as both passes walk them.
struct Walk {
  std::int64_t first, count;  ///< queries
  std::int64_t offset;        ///< of a query's position
  std::int64_t keys, end;     ///< all keys, and where the block's last query stops seeing them
  bool causal;

  template <class Args>
  Walk(const Args& args, std::int64_t block)
      : first(block * kQueries),
        count(std::min(kQueries, args.q.shape[1] - first)),
        offset(args.k.shape[1] - args.q.shape[1]),
        keys(args.k.shape[1]),
        end(args.causal ? std::clamp<std::int64_t>(first + count + offset, 0, keys) : keys),
        causal(args.causal) {}

  std::int64_t chunks() const { return (end + kKeys - 1) / kKeys; }
  /// Keys of chunk `c`, rounded up so that few sizes occur.
  std::int64_t width(std::int64_t c) const {
    const std::int64_t rounded = (std::min(kKeys, end - c * kKeys) + kStep - 1) / kStep * kStep;
    return std::min(rounded, keys - c * kKeys);
  }
  /// Keys of chunk `c` that query `i` of the block sees.
  std::int64_t seen(std::int64_t c, std::int64_t i) const {
    const std::int64_t until = causal ? first + i + offset + 1 : keys;
    return std::clamp<std::int64_t>(until - c * kKeys, 0, width(c));
  }
};

template <class Args>
const float* mask_row(const Args& args, const Walk& walk, std::int64_t i, std::int64_t chunk) {
  return args.mask ? args.mask.template as<const float>() + (walk.first + i) * walk.keys + chunk * kKeys : nullptr;
}

void forward_block(const DenseAttentionArgs& args, std::int64_t b, std::int64_t h, std::int64_t block) {
  static thread_local Arena arena;
  const Walk walk(args, block);
  const std::int64_t depth = args.q.shape[3], width = args.v.shape[3], heads = args.q.shape[2];
  const std::int64_t key_head = h / (heads / args.k.shape[2]);
  const DType dtype = held(args.q.dtype);
  const bool half = args.q.dtype == DType::bf16, half_weights = dtype == DType::bf16;
  arena.reset(kQueries * (2 * kKeys + width + 2));
  float *scores = arena.take(kQueries * kKeys), *total = arena.take(kQueries * width);
  void* weights = arena.take(kQueries * kKeys);
  auto* state = arena.take<RowSoftmax>(kQueries);
  std::fill_n(state, kQueries, RowSoftmax{-std::numeric_limits<float>::infinity(), 0.0f});
  std::fill_n(total, walk.count * width, 0.0f);
  for (std::int64_t c = 0; c < walk.chunks(); ++c) {
    const std::int64_t n = walk.width(c);
    product(walk.count, n, depth, rows_at(args.q, b, walk.first, h), turned(rows_at(args.k, b, c * kKeys, key_head)),
            {scores, DType::f32, 0, n, 1}, false);
    for (std::int64_t i = 0; i < walk.count; ++i)
      state[i] = HWY_DYNAMIC_DISPATCH(attention_row)(
          scores + i * n, static_cast<std::byte*>(weights) + i * n * size_of(dtype), half_weights, walk.seen(c, i), n,
          args.scale, mask_row(args, walk, i, c), state[i], total + i * width, width);
    product(walk.count, width, n, {weights, dtype, 0, n, 1}, rows_at(args.v, b, c * kKeys, key_head),
            {total, DType::f32, 0, width, 1}, true);
  }
  const Matrix out = rows_at(args.out, b, walk.first, h);
  for (std::int64_t i = 0; i < walk.count; ++i) {
    HWY_DYNAMIC_DISPATCH(attention_finish)(total + i * width, row_of(out, i), half, width, state[i].sum);
    args.lse.as<float>()[(b * args.q.shape[1] + walk.first + i) * heads + h] = state[i].max + std::log(state[i].sum);
  }
}

void forward(const DenseAttentionArgs& args) {
  const std::int64_t blocks = (args.q.shape[1] + kQueries - 1) / kQueries, heads = args.q.shape[2];
  parallel_tasks(args.q.shape[0] * heads * blocks, [&](std::int64_t task) {
    // The last blocks see the most keys: they start first.
    forward_block(args, task / blocks / heads, task / blocks % heads, blocks - 1 - task % blocks);
  });
}

// Buffers of one key head's backward pass.
struct Gradients {
  float *k, *v, *q, *scores, *grads;
  void *weights, *slopes;
};

void backward_block(const DenseAttentionBackwardArgs& args, std::int64_t b, std::int64_t h, std::int64_t block,
                    const Gradients& g) {
  const Walk walk(args, block);
  const std::int64_t depth = args.q.shape[3], width = args.v.shape[3], heads = args.q.shape[2];
  const std::int64_t key_head = h / (heads / args.k.shape[2]);
  const DType dtype = held(args.q.dtype);
  const bool half = args.q.dtype == DType::bf16, half_weights = dtype == DType::bf16;
  const Matrix q = rows_at(args.q, b, walk.first, h), out = rows_at(args.out, b, walk.first, h);
  const Matrix grad_out = rows_at(args.grad_out, b, walk.first, h), grad_q = rows_at(args.grad_q, b, walk.first, h);
  float delta[kQueries];
  for (std::int64_t i = 0; i < walk.count; ++i)
    delta[i] = HWY_DYNAMIC_DISPATCH(attention_dot)(row_of(out, i), row_of(grad_out, i), half, width);
  std::fill_n(g.q, walk.count * depth, 0.0f);
  for (std::int64_t c = 0; c < walk.chunks(); ++c) {
    const std::int64_t n = walk.width(c);
    const Matrix k = rows_at(args.k, b, c * kKeys, key_head), v = rows_at(args.v, b, c * kKeys, key_head);
    const Matrix weights{g.weights, dtype, 0, n, 1}, slopes{g.slopes, dtype, 0, n, 1};
    product(walk.count, n, depth, q, turned(k), {g.scores, DType::f32, 0, n, 1}, false);
    product(walk.count, n, width, grad_out, turned(v), {g.grads, DType::f32, 0, n, 1}, false);
    for (std::int64_t i = 0; i < walk.count; ++i) {
      const float lse = args.lse.as<const float>()[(b * args.q.shape[1] + walk.first + i) * heads + h];
      HWY_DYNAMIC_DISPATCH(attention_weights)
      (g.scores + i * n, row_of(weights, i), half_weights, walk.seen(c, i), n, args.scale, mask_row(args, walk, i, c),
       lse);
      HWY_DYNAMIC_DISPATCH(attention_slopes)
      (row_of(weights, i), g.grads + i * n, row_of(slopes, i), half_weights, walk.seen(c, i), n, delta[i], args.scale);
    }
    product(n, width, walk.count, turned(weights), grad_out, {g.v + c * kKeys * width, DType::f32, 0, width, 1}, true);
    product(n, depth, walk.count, turned(slopes), q, {g.k + c * kKeys * depth, DType::f32, 0, depth, 1}, true);
    product(walk.count, depth, n, slopes, k, {g.q, DType::f32, 0, depth, 1}, true);
  }
  for (std::int64_t i = 0; i < walk.count; ++i)
    HWY_DYNAMIC_DISPATCH(attention_finish)(g.q + i * depth, row_of(grad_q, i), half, depth, 1.0f);
}

void backward_head(const DenseAttentionBackwardArgs& args, std::int64_t b, std::int64_t key_head) {
  static thread_local Arena arena;
  const std::int64_t depth = args.q.shape[3], width = args.v.shape[3], keys = args.k.shape[1];
  const std::int64_t group = args.q.shape[2] / args.k.shape[2], blocks = (args.q.shape[1] + kQueries - 1) / kQueries;
  const bool half = args.q.dtype == DType::bf16;
  arena.reset(keys * (depth + width) + kQueries * (depth + 4 * kKeys));
  Gradients g{};
  g.k = arena.take(keys * depth);
  g.v = arena.take(keys * width);
  g.q = arena.take(kQueries * depth);
  g.scores = arena.take(kQueries * kKeys);
  g.grads = arena.take(kQueries * kKeys);
  g.weights = arena.take(kQueries * kKeys);
  g.slopes = arena.take(kQueries * kKeys);
  std::fill_n(g.k, keys * depth, 0.0f);
  std::fill_n(g.v, keys * width, 0.0f);
  for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h)
    for (std::int64_t block = 0; block < blocks; ++block) backward_block(args, b, h, block, g);
  const Matrix grad_k = rows_at(args.grad_k, b, 0, key_head), grad_v = rows_at(args.grad_v, b, 0, key_head);
  for (std::int64_t s = 0; s < keys; ++s) {
    HWY_DYNAMIC_DISPATCH(attention_finish)(g.k + s * depth, row_of(grad_k, s), half, depth, 1.0f);
    HWY_DYNAMIC_DISPATCH(attention_finish)(g.v + s * width, row_of(grad_v, s), half, width, 1.0f);
  }
}

void backward(const DenseAttentionBackwardArgs& args) {
  const std::int64_t key_heads = args.k.shape[2];
  parallel_tasks(args.q.shape[0] * key_heads,
                 [&](std::int64_t task) { backward_head(args, task / key_heads, task % key_heads); });
}

const char* reason_against(const TensorView& q, const TensorView& k, const TensorView& v) {
  if (q.dtype != DType::f32 && q.dtype != DType::bf16) return "dtype is neither f32 nor bf16";
  if (q.numel() == 0 || k.numel() == 0 || v.numel() == 0) return "nothing to do";
  for (const TensorView* view : {&q, &k, &v})
    if (view->strides[3] != 1 || view->strides[1] < view->shape[3]) return "rows are not contiguous";
  return nullptr;
}

}  // namespace

void add_dense_attention_kernels() {
  add_kernel<DenseAttentionArgs>(Device::cpu, "onednn", forward,
                                 [](const DenseAttentionArgs& args) { return reason_against(args.q, args.k, args.v); });
  add_kernel<DenseAttentionBackwardArgs>(Device::cpu, "onednn", backward, [](const DenseAttentionBackwardArgs& args) {
    return reason_against(args.q, args.k, args.v);
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
