// Attention of decoded tokens: a block a token and head takes its rows tile by tile, with a running maximum (Milakov
// and Gimelshein 2018, arXiv 1805.02867). Where tiles begin depends on the token alone.
#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/step_cache.cuh"
#include "kernels/cuda/vectors.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256, kLanesARow = 8, kRowsAtOnce = kThreads / kLanesARow;
constexpr std::int64_t kTileRows = 1024;
/// Rows that a thread loads before it uses the first of them: with few tokens, memory's delay is the time.
constexpr int kUnderWay = 4;

// The rows that a token sees: its window, oldest first, then its entries.
struct SeenRows {
  const float *window, *entries;
  const std::int32_t* chosen;  ///< nullptr: all entries
  std::int32_t ring, ring_begin, window_count, count;
  std::int64_t dim;

  ORRERY_ON_DEVICE const float* operator[](std::int32_t r) const {
    if (r < window_count) {
      const std::int32_t at = ring_begin + r;
      return window + (at < ring ? at : at - ring) * dim;
    }
    r -= window_count;
    return entries + (chosen != nullptr ? chosen[r] : r) * dim;
  }
};

ORRERY_ON_DEVICE SeenRows rows_of(const StepAttentionArgs& args, std::int64_t t) {
  const StepToken& token = args.tokens[t];
  const auto ring = static_cast<std::int32_t>(args.cache.window_ring), size = static_cast<std::int32_t>(args.window);
  const std::int32_t seen = token.position + 1 < size ? token.position + 1 : size;
  std::int32_t entries = visible_rows(token, args.rows);
  const bool some = args.chosen != nullptr && entries > args.top;
  if (some) entries = static_cast<std::int32_t>(args.top);
  return {token.cache + args.rows.window,
          grown_rows(token, args.cache, args.rows),
          some ? args.chosen + t * args.top : nullptr,
          ring,
          ring > 0 ? (token.position + 1 - seen) % ring : 0,
          seen,
          seen + entries,
          args.dim};
}

template <int kVec>
ORRERY_ON_DEVICE void load_part(float (&values)[kVec], const float* at) {
  if constexpr (kVec == 4) {
    const auto four = load_as<FourFloats>(at);
    ORRERY_UNROLL
    for (int i = 0; i < 4; ++i) values[i] = four.values[i];
  } else {
    values[0] = *at;
  }
}

template <int kVec>
struct Attend {
  StepAttentionArgs args;

  // scores[i] = scale · q · row (first + i) for a tile of rows; each thread's largest. A thread has several rows under
  // way.
  ORRERY_ON_DEVICE float score(const Block& block, const SeenRows& rows, std::int32_t first, std::int32_t count,
                               const float* q, float* scores) const {
    float top = -INFINITY;
    const int part = block.lane() % kLanesARow;
    constexpr int kRowsAWarp = kWarp / kLanesARow;
    for (std::int32_t begin = block.warp() * kRowsAWarp; begin < count; begin += kUnderWay * kRowsAtOnce) {
      const std::int32_t mine = begin + block.lane() / kLanesARow;
      const float* row[kUnderWay];
      float sum[kUnderWay] = {};
      ORRERY_UNROLL
      for (int u = 0; u < kUnderWay; ++u) {
        const std::int32_t r = mine + u * kRowsAtOnce;
        row[u] = rows[first + (r < count ? r : count - 1)];
      }
      for (std::int64_t c = part * kVec; c < args.dim; c += kLanesARow * kVec) {
        float x[kVec], y[kUnderWay][kVec];
        load_part<kVec>(x, q + c);
        ORRERY_UNROLL
        for (int u = 0; u < kUnderWay; ++u) load_part<kVec>(y[u], row[u] + c);
        ORRERY_UNROLL
        for (int u = 0; u < kUnderWay; ++u) {
          ORRERY_UNROLL
          for (int v = 0; v < kVec; ++v) sum[u] = fmaf(x[v], y[u][v], sum[u]);
        }
      }
      ORRERY_UNROLL
      for (int u = 0; u < kUnderWay; ++u) {
        for (int mask = kLanesARow / 2; mask > 0; mask /= 2) sum[u] += shuffle_xor(sum[u], mask);
        const std::int32_t r = mine + u * kRowsAtOnce;
        if (r >= count) continue;
        sum[u] *= args.scale;
        if (part == 0) scores[r] = sum[u];
        top = fmaxf(top, sum[u]);
      }
    }
    return top;
  }

  // out += the slice's rows of the tile, each times its share.
  ORRERY_ON_DEVICE void mix(const SeenRows& rows, std::int32_t first, std::int32_t count, const float* scores,
                            int slice, int slices, int channel, float (&out)[kVec]) const {
    std::int32_t r = slice;
    for (; r + (kUnderWay - 1) * slices < count; r += kUnderWay * slices) {
      float value[kUnderWay][kVec];
      ORRERY_UNROLL
      for (int u = 0; u < kUnderWay; ++u) load_part<kVec>(value[u], rows[first + r + u * slices] + channel);
      ORRERY_UNROLL
      for (int u = 0; u < kUnderWay; ++u) {
        ORRERY_UNROLL
        for (int v = 0; v < kVec; ++v) out[v] = fmaf(scores[r + u * slices], value[u][v], out[v]);
      }
    }
    for (; r < count; r += slices) {
      float value[kVec];
      load_part<kVec>(value, rows[first + r] + channel);
      ORRERY_UNROLL
      for (int v = 0; v < kVec; ++v) out[v] = fmaf(scores[r], value[v], out[v]);
    }
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t t = block.index / args.heads, head = block.index % args.heads, dim = args.dim;
    auto* scores = reinterpret_cast<float*>(block.memory + kReduceBytes);
    float *q = scores + kTileRows, *parts = q + (dim + 3) / 4 * 4;
    for (std::int64_t i = block.thread; i < dim; i += block.threads) q[i] = args.q[t * args.q_stride + head * dim + i];
    const SeenRows rows = rows_of(args, t);
    const auto channels = static_cast<int>(dim / kVec);  // parts of a row, a thread each
    const int slices = kThreads / channels, slice = block.thread / channels, channel = block.thread % channels * kVec;
    float out[kVec] = {}, top = args.sinks != nullptr ? args.sinks[head] : -INFINITY;
    float total = args.sinks != nullptr ? 1.0f : 0.0f;
    for (std::int32_t first = 0; first < rows.count; first += static_cast<std::int32_t>(kTileRows)) {
      const std::int32_t count =
          rows.count - first < kTileRows ? rows.count - first : static_cast<std::int32_t>(kTileRows);
      block.sync();  // q is there; the tile before is done with
      const float mine = score(block, rows, first, count, q, scores);
      const float larger = fmaxf(top, block_max(block, mine, block.memory));
      const float shrunk = expf(top - larger);
      top = larger;
      float sum = 0;
      for (std::int32_t r = block.thread; r < count; r += block.threads) sum += scores[r] = expf(scores[r] - top);
      total = fmaf(total, shrunk, block_sum(block, sum, block.memory));
      for (int v = 0; v < kVec; ++v) out[v] *= shrunk;
      if (slice < slices) mix(rows, first, count, scores, slice, slices, channel, out);
    }
    if (slice < slices)
      for (int v = 0; v < kVec; ++v) parts[slice * dim + channel + v] = out[v];
    block.sync();
    for (std::int64_t i = block.thread; i < dim; i += block.threads) {
      float sum = 0;
      for (int s = 0; s < slices; ++s) sum += parts[s * dim + i];
      q[i] = total > 0 ? sum * (1.0f / total) : 0.0f;
    }
    block.sync();
    float* to = args.out + (t * args.heads + head) * dim;
    const std::int64_t still = dim - 2 * args.pairs;
    for (std::int64_t i = block.thread; i < still; i += block.threads) to[i] = q[i];
    for (std::int64_t pair = block.thread; pair < args.pairs; pair += block.threads) {
      const float *by = args.turns + 2 * (t * args.pairs + pair), *x = q + still + 2 * pair;
      to[still + 2 * pair] = x[0] * by[0] + x[1] * by[1];
      to[still + 2 * pair + 1] = x[1] * by[0] - x[0] * by[1];
    }
  }
};

std::int64_t shared_bytes(std::int64_t dim, int vec) {
  const std::int64_t slices = kThreads / (dim / vec);
  return kReduceBytes + (kTileRows + (dim + 3) / 4 * 4 + slices * dim) * std::int64_t{sizeof(float)};
}

bool wide(const StepAttentionArgs& args) {
  return args.dim % 4 == 0 && args.rows.window % 4 == 0 && args.cache.fixed % 4 == 0 && args.rows.grown % 4 == 0;
}

void attention(const StepAttentionArgs& args) {
  const std::int64_t blocks = args.count * args.heads;
  if (wide(args))
    launch_blocks(StepAttentionArgs::kOp, blocks, kThreads, shared_bytes(args.dim, 4), Attend<4>{args});
  else
    launch_blocks(StepAttentionArgs::kOp, blocks, kThreads, shared_bytes(args.dim, 1), Attend<1>{args});
}

const char* narrow_rows(const StepAttentionArgs& args) {
  return args.dim <= (wide(args) ? 4 : 1) * kThreads ? nullptr : "rows of more values than a block has threads for";
}

}  // namespace

void add_step_attention_kernels() { add_kernel<StepAttentionArgs>(Device::cuda, "blocks", attention, narrow_rows); }

}  // namespace orrery::gpu
