// Fixed-order kernels for generation (kernels/api/decode.h). A dot product of floats is the sum of two halves of the
// terms: each runs over k in vectors into an accumulator of its own, whatever else is computed beside it. The number of
// lanes is the machine's: results are the same on one instruction set. Sums of integers are exact.
#include "kernels/api/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/decode.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Bytes ahead of the row that are fetched: with few tokens a step is nothing but reading weights, and the distance
// covers the memory's delay.
constexpr std::int64_t kAhead = 4096;
constexpr std::int64_t kLine = 64;

// What of k the vectors cover; the terms behind are added one by one.
HWY_INLINE std::int64_t in_vectors(std::int64_t k) { return k - k % (2 * kLanes); }

// Of 2 · kLanes weights from `at` on those of one half, and where their inputs lie. Floats: the even vectors and the
// odd ones, inputs as they are.
HWY_INLINE Vec half_of(const float* w, std::int64_t at, int half) { return load(w + at + half * kLanes); }
HWY_INLINE std::int64_t inputs_of(const float*, std::int64_t at, int half, std::int64_t) { return at + half * kLanes; }

// bf16: the even weights and the odd ones, which lie in the lower and upper halves of words and so take one step each
// to become floats. Inputs are sorted likewise (spread_inputs).
HWY_INLINE Vec half_of(const BFloat16* w, std::int64_t at, int half) {
#if HWY_TARGET == HWY_SCALAR
  return load(w + at + half);
#else
  const Words words;
  const hn::Repartition<std::uint16_t, Words> halves;
  const auto pairs = hn::BitCast(words, hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(w + at)));
  return hn::BitCast(Floats(), half == 0 ? hn::ShiftLeft<16>(pairs) : hn::And(pairs, hn::Set(words, 0xFFFF0000u)));
#endif
}
HWY_INLINE std::int64_t inputs_of(const BFloat16*, std::int64_t at, int half, std::int64_t whole) {
  return (at + half * whole) / 2;
}

// Calls body(at) for [0, whole) in steps of `step` weights, and fetches the line at `ahead` once a line of them.
template <std::int64_t step, class W, class Body>
HWY_INLINE void while_fetching(std::int64_t whole, const char* ahead, const Body& body) {
  constexpr std::int64_t kBytes = step * std::int64_t{sizeof(W)},
                         kUnit = step * std::max<std::int64_t>(1, kLine / kBytes);
  std::int64_t at = 0;
  for (; at + kUnit <= whole; at += kUnit) {
    for (std::int64_t byte = 0; byte < kUnit * std::int64_t{sizeof(W)}; byte += kLine)
      hwy::Prefetch(ahead + at * std::int64_t{sizeof(W)} + byte);
    for (std::int64_t i = 0; i < kUnit; i += step) body(at + i);
  }
  for (; at < whole; at += step) body(at);
}

// The dot of a row and a token, as wide_dots has it.
template <class W>
HWY_INLINE float token_dot(const W* w, const float* x, std::int64_t k, const char* ahead) {
  const std::int64_t whole = in_vectors(k);
  Vec sums[2] = {zero(), zero()};
  while_fetching<2 * kLanes, W>(whole, ahead, [&](std::int64_t at) HWY_ATTR {
    for (int half = 0; half < 2; ++half)
      sums[half] = hn::MulAdd(half_of(w, at, half), load(x + inputs_of(w, at, half, whole)), sums[half]);
  });
  float sum = sum_of(hn::Add(sums[0], sums[1]));
  for (std::int64_t i = whole; i < k; ++i) sum = std::fma(to_float(w[i]), x[i], sum);
  return sum;
}

// The dots of rows anywhere and tokens side by side, each as if it were alone: one half first and then the other, so
// that as many rows and tokens as there are registers for one of the two sums share what is loaded.
template <int rows, int tokens, class W>
HWY_INLINE void wide_dots(const W* const* w, const float* x, std::int64_t k, float* results) {
  const std::int64_t whole = in_vectors(k);
  Vec sums[2][rows * tokens];
  for (int half = 0; half < 2; ++half) {
    Vec sum[rows * tokens];
    for (int i = 0; i < rows * tokens; ++i) sum[i] = zero();
    for (std::int64_t at = 0; at < whole; at += 2 * kLanes) {
      Vec weights[rows];
      for (int r = 0; r < rows; ++r) weights[r] = half_of(w[r], at, half);
      const float* const inputs = x + inputs_of(w[0], at, half, whole);
      for (int t = 0; t < tokens; ++t) {
        const Vec input = load(inputs + t * k);
        for (int r = 0; r < rows; ++r) sum[r * tokens + t] = hn::MulAdd(weights[r], input, sum[r * tokens + t]);
      }
    }
    for (int i = 0; i < rows * tokens; ++i) sums[half][i] = sum[i];
  }
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) {
      float sum = sum_of(hn::Add(sums[0][r * tokens + t], sums[1][r * tokens + t]));
      for (std::int64_t i = whole; i < k; ++i) sum = std::fma(to_float(w[r][i]), x[t * k + i], sum);
      results[r * tokens + t] = sum;
    }
}

// i8 weights and inputs of 16 bits: products are added in pairs, in 32 bits.
#if HWY_TARGET == HWY_SCALAR
constexpr std::int64_t kShorts = 1;
struct PairSums {
  std::int32_t sum;
  void clear() { sum = 0; }
  void add(std::int32_t weight, std::int32_t input) { sum += weight * input; }
  std::int32_t total() const { return sum; }
};
HWY_INLINE std::int32_t shorts_of(const std::int8_t* w) { return *w; }
HWY_INLINE std::int32_t shorts_of(const std::int16_t* x) { return *x; }
#else
using Shorts = hn::Repartition<std::int16_t, Ints>;
constexpr std::int64_t kShorts = static_cast<std::int64_t>(hn::MaxLanes(Shorts()));
struct PairSums {
  hn::Vec<Ints> sum, other;
  HWY_INLINE void clear() { sum = other = hn::Zero(Ints()); }
  HWY_INLINE void add(hn::Vec<Shorts> weights, hn::Vec<Shorts> inputs) {
    sum = hn::ReorderWidenMulAccumulate(Ints(), weights, inputs, sum, other);
  }
  HWY_INLINE std::int32_t total() const { return hn::GetLane(hn::SumOfLanes(Ints(), hn::Add(sum, other))); }
};
HWY_INLINE hn::Vec<Shorts> shorts_of(const std::int8_t* w) {
  return hn::PromoteTo(Shorts(), hn::LoadU(hn::Rebind<std::int8_t, Shorts>(), w));
}
HWY_INLINE hn::Vec<Shorts> shorts_of(const std::int16_t* x) { return hn::LoadU(Shorts(), x); }
#endif

HWY_INLINE float token_dot(const std::int8_t* w, const std::int16_t* x, std::int64_t k, const char* ahead) {
  const std::int64_t whole = k - k % kShorts;
  PairSums sums;
  sums.clear();
  while_fetching<kShorts, std::int8_t>(
      whole, ahead, [&](std::int64_t at) HWY_ATTR { sums.add(shorts_of(w + at), shorts_of(x + at)); });
  std::int32_t sum = sums.total();
  for (std::int64_t i = whole; i < k; ++i) sum += std::int32_t{w[i]} * x[i];
  return static_cast<float>(sum);
}

template <int rows, int tokens>
HWY_INLINE void wide_dots(const std::int8_t* const* w, const std::int16_t* x, std::int64_t k, float* results) {
  const std::int64_t whole = k - k % kShorts;
  PairSums sums[rows * tokens];
  for (PairSums& some : sums) some.clear();
  for (std::int64_t at = 0; at < whole; at += kShorts)
    for (int r = 0; r < rows; ++r) {
      const auto weights = shorts_of(w[r] + at);
      for (int t = 0; t < tokens; ++t) sums[r * tokens + t].add(weights, shorts_of(x + t * k + at));
    }
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) {
      std::int32_t sum = sums[r * tokens + t].total();
      for (std::int64_t i = whole; i < k; ++i) sum += std::int32_t{w[r][i]} * x[t * k + i];
      results[r * tokens + t] = static_cast<float>(sum);
    }
}

// Rows of weights and tokens that go together: as many sums as leave registers for what is loaded.
constexpr int kTileRows = kLanes >= 16 ? 4 : 3;
constexpr int kTileTokens = 4;
// Inputs of so many bytes stay in the first cache while the weights pass by.
constexpr std::int64_t kNearBytes = 24 << 10;
// Heads that share the reading of a row.
constexpr int kTileHeads = 4;
// Products of single numbers that are worth a thread, and tokens whose inputs are.
constexpr std::int64_t kWorkAThread = 1 << 15;
constexpr std::int64_t kRowsAThread = 16;

// Rows from w on and all tokens, a multiple of kTileTokens.
template <int rows, class W, class X>
HWY_INLINE void matmul_tile(const W* w, const X* x, std::int64_t tokens, std::int64_t k, float* y,
                            std::int64_t stride) {
  float results[kTileTokens * rows];
  const W* each[rows];
  for (int r = 0; r < rows; ++r) each[r] = w + r * k;
  for (std::int64_t t = 0; t < tokens; t += kTileTokens) {
    wide_dots<rows, kTileTokens>(each, x + t * k, k, results);
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < kTileTokens; ++i) y[(t + i) * stride + r] = results[r * kTileTokens + i];
  }
}

// Inputs as a product's weights want them, side by side [tokens, k].
template <class X>
struct Inputs {
  const X* values;
  const float* steps;  // of integers: a token's inputs are its integers times this
};

// Rows [begin, end); the ones at `next` are what this thread reads afterwards.
template <class W, class X>
void matmul_rows(const FixedMatmulArgs& args, const Inputs<X>& inputs, std::int64_t begin, std::int64_t end,
                 const char* next) {
  const std::int64_t tokens = args.x.shape[0], k = args.x.shape[1], stride = args.y.strides[0];
  const W* w = args.w.as<const W>();
  float* const y = args.y.as<float>();
  const std::int64_t near =
      std::max<std::int64_t>(1, kNearBytes / (kTileTokens * k * std::int64_t{sizeof(X)})) * kTileTokens;
  const char* const behind = reinterpret_cast<const char*>(w + end * k);
  for (std::int64_t first = 0; first < tokens; first += near) {
    const std::int64_t some = std::min(near, tokens - first), tiled = some - some % kTileTokens;
    const X* x = inputs.values + first * k;
    float* const to = y + first * stride;
    std::int64_t n = begin;
    for (; tiled > 0 && n + kTileRows <= end; n += kTileRows)
      matmul_tile<kTileRows>(w + n * k, x, tiled, k, to + n, stride);
    for (; tiled > 0 && n < end; ++n) matmul_tile<1>(w + n * k, x, tiled, k, to + n, stride);
    // The others one by one: weights come fastest in the order in which they lie.
    for (n = begin; tiled < some && n < end; ++n) {
      const char* ahead = reinterpret_cast<const char*>(w + n * k) + kAhead;
      if (next && ahead >= behind) ahead = next + (ahead - behind);
      for (std::int64_t t = tiled; t < some; ++t) to[t * stride + n] = token_dot(w + n * k, x + t * k, k, ahead);
    }
  }
  for (std::int64_t t = 0; args.scales && t < tokens; ++t)
    for (std::int64_t n = begin; n < end; ++n) y[t * stride + n] *= args.scales[n] * inputs.steps[t];
}

// The even inputs of what the vectors cover, then the odd ones, then the others.
void spread_inputs(const float* x, std::int64_t k, float* to) {
  const std::int64_t whole = in_vectors(k);
  for (std::int64_t i = 0; i < whole / 2; ++i) to[i] = x[2 * i], to[whole / 2 + i] = x[2 * i + 1];
  std::copy(x + whole, x + k, to + whole);
}

// Integers times the returned step: of 16 bits, or as many as k products with weights have room for in 32.
float round_inputs(const float* x, std::int64_t k, std::int16_t* to) {
  constexpr float kTiny = 1e-30f;  // of inputs no larger nothing is kept
  const auto most = static_cast<float>(std::min<std::int64_t>(32767, ((std::int64_t{1} << 31) - 1) / (128 * k)));
  Vec top = zero(), none = zero();  // not a number where an input is not finite
  for_vectors(k, [&](std::int64_t, auto get, auto) HWY_ATTR {
    const Vec value = get(x);
    top = hn::Max(top, hn::Abs(value));
    none = hn::MulAdd(value, zero(), none);
  });
  const float largest = max_of(top), factor = largest > kTiny ? most / largest : 0.0f;
  const hn::Rebind<std::int16_t, Floats> shorts;
  std::int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes)
    hn::StoreU(hn::DemoteTo(shorts, hn::NearestInt(hn::Mul(load(x + i), set(factor)))), shorts, to + i);
  for (; i < k; ++i) to[i] = static_cast<std::int16_t>(std::lrint(x[i] * factor));
  return largest / most + sum_of(none);
}

// Scores of `rows` rows from `row` on with `heads` heads.
template <int rows, int heads>
HWY_INLINE void score_rows(const DecodeAttentionArgs& args, const float* q, std::int64_t row, float* scores,
                           float* top) {
  float score[rows * heads];
  wide_dots<rows, heads>(args.rows + row, q, args.dim, score);
  for (int i = 0; i < heads; ++i)
    for (int r = 0; r < rows; ++r) {
      scores[i * args.count + row + r] = score[r * heads + i] * args.scale;
      top[i] = std::max(top[i], scores[i * args.count + row + r]);
    }
}

// Vectors [at, at + vectors) of the heads' outputs; the only one may be partial.
template <int vectors, int heads>
HWY_INLINE void mix_rows(const DecodeAttentionArgs& args, const float* scores, const float* inverse, std::int64_t at,
                         float* out) {
  const std::int64_t left = args.dim - at;
  Vec sum[vectors * heads];
  for (int i = 0; i < vectors * heads; ++i) sum[i] = zero();
  for (std::int64_t row = 0; row < args.count; ++row) {
    const float* from = args.rows[row] + at;
    Vec value[vectors];
    for (int v = 0; v < vectors; ++v) value[v] = left >= kLanes ? load(from + v * kLanes) : load_part(from, left);
    for (int i = 0; i < heads; ++i) {
      const Vec share = set(scores[i * args.count + row]);
      for (int v = 0; v < vectors; ++v) sum[i * vectors + v] = hn::MulAdd(share, value[v], sum[i * vectors + v]);
    }
  }
  for (int i = 0; i < heads; ++i)
    for (int v = 0; v < vectors; ++v) {
      const Vec mean = hn::Mul(sum[i * vectors + v], set(inverse[i]));
      float* to = out + i * args.dim + at + v * kLanes;
      left >= kLanes ? store(mean, to) : store_part(mean, to, left);
    }
}

template <int heads>
HWY_INLINE void attend(const DecodeAttentionArgs& args, std::int64_t h) {
  const float* q = args.q + h * args.dim;
  float* const scores = args.scratch + h * args.count;
  float top[heads], inverse[heads];
  for (int i = 0; i < heads; ++i) top[i] = args.sinks ? args.sinks[h + i] : -std::numeric_limits<float>::infinity();
  std::int64_t row = 0;
  for (; row + kTileRows <= args.count; row += kTileRows) score_rows<kTileRows, heads>(args, q, row, scores, top);
  for (; row < args.count; ++row) score_rows<1, heads>(args, q, row, scores, top);
  for (int i = 0; i < heads; ++i) {
    float* mine = scores + i * args.count;
    const Vec shift = set(top[i]);
    std::int64_t r = 0;
    for (; r + kLanes <= args.count; r += kLanes) store(exp(hn::Sub(load(mine + r), shift)), mine + r);
    if (r < args.count) store_part(exp(hn::Sub(load_part(mine + r, args.count - r), shift)), mine + r, args.count - r);
    float total = 0;
    if (args.sinks) total = hn::GetLane(exp(set(args.sinks[h + i] - top[i])));
    for (r = 0; r < args.count; ++r) total += mine[r];
    inverse[i] = total > 0 ? 1.0f / total : 0.0f;
  }
  float* out = args.out + h * args.dim;
  std::int64_t at = 0;
  for (; at + 2 * kLanes <= args.dim; at += 2 * kLanes) mix_rows<2, heads>(args, scores, inverse, at, out);
  for (; at < args.dim; at += kLanes) mix_rows<1, heads>(args, scores, inverse, at, out);
}

}  // namespace

void run_fixed_matmul(const FixedMatmulArgs* each, std::int64_t count) {
  // Inputs are converted once, also where several products in a row share them.
  thread_local Arena arena;
  std::int64_t room = 0;
  for (std::int64_t i = 0; i < count; ++i) room += each[i].x.shape[0] * (each[i].x.shape[1] + 64);
  arena.reset(room);
  struct Job {
    const FixedMatmulArgs* args;
    Inputs<float> floats;
    Inputs<std::int16_t> integers;
  };
  thread_local std::vector<Job> jobs;
  jobs.clear();
  std::int64_t work = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const FixedMatmulArgs& args = each[i];
    const std::int64_t tokens = args.x.shape[0], k = args.x.shape[1];
    work += args.w.shape[0] * tokens * k;
    const float* const x = args.x.as<const float>();
    Job job{&args, {x, nullptr}, {}};
    if (args.w.dtype != DType::f32 && i > 0 && args.x.data == each[i - 1].x.data &&
        args.w.dtype == each[i - 1].w.dtype) {
      job.floats = jobs.back().floats, job.integers = jobs.back().integers;
    } else if (args.w.dtype == DType::bf16) {
      float* const to = arena.take(tokens * k);
      parallel_blocks(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) spread_inputs(x + t * k, k, to + t * k);
      });
      job.floats = {to, nullptr};
    } else if (args.w.dtype == DType::i8) {
      auto* const to = arena.take<std::int16_t>(tokens * k);
      float* const steps = arena.take(tokens);
      parallel_blocks(tokens, kRowsAThread, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) steps[t] = round_inputs(x + t * k, k, to + t * k);
      });
      job.integers = {to, steps};
    }
    jobs.push_back(job);
  }
  // Each thread takes its share of every matrix, always the same one: it may still lie in its cache.
  const std::vector<Job>& all = jobs;
  const std::int64_t threads = work < 2 * kWorkAThread || omp_in_parallel()
                                   ? 1
                                   : std::min<std::int64_t>(omp_get_max_threads(), work / kWorkAThread);
  parallel_blocks(threads, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const FixedMatmulArgs& args = *all[i].args;
      const std::int64_t n = args.w.shape[0], begin = n * first / threads, end = n * last / threads;
      const char* next = nullptr;
      if (i + 1 < all.size()) {
        const TensorView& w = all[i + 1].args->w;
        next = w.as<const char>() + w.shape[0] * first / threads * w.shape[1] * size_of(w.dtype);
      }
      if (args.w.dtype == DType::i8) {
        matmul_rows<std::int8_t>(args, all[i].integers, begin, end, next);
      } else if (args.w.dtype == DType::bf16) {
        matmul_rows<BFloat16>(args, all[i].floats, begin, end, next);
      } else {
        matmul_rows<float>(args, all[i].floats, begin, end, next);
      }
    }
  });
}

void run_decode_attention(const DecodeAttentionArgs& args) {
  const std::int64_t tiles = (args.heads + kTileHeads - 1) / kTileHeads;
  const std::int64_t grain = (1 << 15) / std::max<std::int64_t>(1, 2 * kTileHeads * args.count * args.dim) + 1;
  parallel_blocks(tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t h = begin * kTileHeads;
    const std::int64_t last = std::min(end * kTileHeads, args.heads);
    for (; h + kTileHeads <= last; h += kTileHeads) attend<kTileHeads>(args, h);
    for (; h < last; ++h) attend<1>(args, h);
  });
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(run_fixed_matmul);
HWY_EXPORT(run_decode_attention);

}  // namespace

void add_decode_kernels() {
  add_kernel<FixedMatmulsArgs>(Device::cpu, "highway", [](const FixedMatmulsArgs& args) {
    HWY_DYNAMIC_DISPATCH(run_fixed_matmul)(args.each, args.count);
  });
  add_kernel<DecodeAttentionArgs>(Device::cpu, "highway", [](const DecodeAttentionArgs& args) {
    HWY_DYNAMIC_DISPATCH(run_decode_attention)(args);
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
