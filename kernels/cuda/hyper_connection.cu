// Hyper-connections, forward: a warp two tokens, then a thread a token for the Sinkhorn rounds.
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

constexpr int kTokens = 2;      // of a warp: they share what is read of fn
constexpr int kRowsAtOnce = 8;  // of fn; the n of pre are among the first

// A warp kTokens tokens: all but comb.
template <class T, int kCount>
struct HcPre {
  const T* x;
  const float *fn, *base, *scale;
  T* h;
  float *mix, *inverse, *pre, *post;
  std::int64_t tokens;
  int n, d, rows;
  HcOptions options;

  ORRERY_ON_DEVICE void operator()(std::int64_t index, int lane, unsigned char*) const {
    const std::int64_t width = std::int64_t{n} * d;
    const T* token[kTokens];
    float weight[kTokens] = {};  // of stream `lane` in h
    ORRERY_UNROLL
    for (int j = 0; j < kTokens; ++j) token[j] = x + token_of(index, j) * width;
    for (int first = 0; first < rows; first += kRowsAtOnce) {
      float sums[kTokens][kRowsAtOnce] = {}, squares[kTokens] = {};
      add_products(sums, squares, token, first, lane);
      ORRERY_UNROLL
      for (int j = 0; j < kTokens; ++j) {
        const float norm = 1.0f / sqrtf(warp_sum(squares[j]) / static_cast<float>(width) + options.norm_eps);
        float own = 0;
        ORRERY_UNROLL
        for (int k = 0; k < kRowsAtOnce; ++k) {
          const float sum = warp_sum(sums[j][k]);
          if (lane == k) own = sum * norm;
        }
        const bool real = index * kTokens + j < tokens;
        const std::int64_t t = token_of(index, j);
        if (real && first == 0 && lane == 0) inverse[t] = norm;
        const int r = first + lane;
        if (lane >= kRowsAtOnce || r >= rows) continue;
        const float s = sigmoid(own * scale[r < 2 * n ? r / n : 2] + base[r]);
        if (r < n) weight[j] = s + options.eps;
        if (!real) continue;
        mix[t * rows + r] = own;
        if (r < n)
          pre[t * n + r] = weight[j];
        else if (r < 2 * n)
          post[t * n + r - n] = 2 * s;
      }
    }
    ORRERY_UNROLL
    for (int j = 0; j < kTokens; ++j) {
      float weights[kRowsAtOnce];
      ORRERY_UNROLL
      for (int m = 0; m < kRowsAtOnce; ++m) weights[m] = shuffle(weight[j], m);
      if (index * kTokens + j < tokens) write_h(h + (index * kTokens + j) * d, token[j], weights, lane);
    }
  }
  /// The last token stands in for those beyond it.
  ORRERY_ON_DEVICE std::int64_t token_of(std::int64_t index, int j) const {
    const std::int64_t t = index * kTokens + j;
    return t < tokens ? t : tokens - 1;
  }
  /// The lane's share of the products with rows `first` … of fn.
  ORRERY_ON_DEVICE void add_products(float (&sums)[kTokens][kRowsAtOnce], float (&squares)[kTokens],
                                     const T* const (&token)[kTokens], int first, int lane) const {
    const int width = n * d;
    for (int i = lane * kCount; i < width; i += kWarp * kCount) {
      float values[kTokens][kCount];
      ORRERY_UNROLL
      for (int j = 0; j < kTokens; ++j) {
        load_values(values[j], token[j] + i);
        ORRERY_UNROLL
        for (int e = 0; e < kCount; ++e) squares[j] += values[j][e] * values[j][e];
      }
      ORRERY_UNROLL
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (first + k >= rows) break;
        float factors[kCount];
        load_values(factors, fn + std::int64_t{first + k} * width + i);
        ORRERY_UNROLL
        for (int j = 0; j < kTokens; ++j) {
          ORRERY_UNROLL
          for (int e = 0; e < kCount; ++e) sums[j][k] += factors[e] * values[j][e];
        }
      }
    }
  }
  ORRERY_ON_DEVICE void write_h(T* out, const T* token, const float (&weights)[kRowsAtOnce], int lane) const {
    for (int i = lane * kCount; i < d; i += kWarp * kCount) {
      float sums[kCount] = {};
      ORRERY_UNROLL
      for (int m = 0; m < kRowsAtOnce; ++m) {
        if (m >= n) break;
        float values[kCount];
        load_values(values, token + std::int64_t{m} * d + i);
        ORRERY_UNROLL
        for (int e = 0; e < kCount; ++e) sums[e] += weights[m] * values[e];
      }
      store_values(out + i, sums);
    }
  }
};

struct Comb {
  const float *mix, *base, *scale;
  float* comb;
  int n, rows;
  HcOptions options;
  ORRERY_ON_DEVICE void operator()(std::int64_t t, const Cells& m) const {
    for (int i = 0; i < n * n; ++i) m[i] = mix[t * rows + 2 * n + i] * scale[2] + base[2 * n + i];
    sinkhorn_start(m, n, options.eps);
    for (int round = 0; round < 2 * options.iterations - 1; ++round) normalize_lines(m, n, round % 2 == 1, options.eps);
    for (int i = 0; i < n * n; ++i) comb[t * n * n + i] = m[i];
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
    const auto [t, c] = divided(i, d);
    for (std::int64_t k = 0; k < n; ++k) {
      float sum = post[t * n + k] * to_float(f[i]);
      for (std::int64_t m = 0; m < n; ++m) sum += comb[(t * n + m) * n + k] * to_float(x[(t * n + m) * d + c]);
      y[(t * n + k) * d + c] = from_float<T>(sum);
    }
  }
};

void pre(const HcPreArgs& args) {
  const char* op = HcPreArgs::kOp;
  const std::int64_t tokens = args.x.shape[0];
  const int n = static_cast<int>(args.x.shape[1]), d = static_cast<int>(args.x.shape[2]),
            rows = static_cast<int>(args.fn.shape[0]);
  const auto *fn = args.fn.as<const float>(), *base = args.base.as<const float>(),
             *scale = args.scale.as<const float>();
  auto* mix = args.mix.as<float>();
  with_vectors(args.x.dtype, d, all_aligned(args.x.data, args.h.data, fn), [&]<class T, int kCount>() {
    launch_rows(op, (tokens + kTokens - 1) / kTokens, 0,
                HcPre<T, kCount>{args.x.as<const T>(), fn, base, scale, args.h.as<T>(), mix, args.inverse.as<float>(),
                                 args.pre.as<float>(), args.post.as<float>(), tokens, n, d, rows, args.options});
  });
  if (args.comb)
    launch_sinkhorn(op, tokens, n * n, Comb{mix, base, scale, args.comb.as<float>(), n, rows, args.options});
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
  add_kernel<HcPreArgs>(Device::cuda, "warps", pre);
  add_kernel<HcPostArgs>(Device::cuda, "elements", post);
}

}  // namespace orrery::gpu
