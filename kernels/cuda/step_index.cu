// The lightning indexer of decoded tokens: scores by a thread an entry; the best by a block a token, which finds the
// score that as many reach as are wanted, bit by bit.
#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/step_cache.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

struct Score {
  StepIndexArgs args;
  std::int64_t parts;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t t = block.index / parts, first = block.index % parts * block.threads;
    const StepToken& token = args.tokens[t];
    const std::int32_t visible = visible_rows(token, args.keys);
    if (visible <= args.top || first >= visible) return;
    auto* q = reinterpret_cast<float*>(block.memory);
    for (std::int64_t i = block.thread; i < args.heads * args.dim; i += block.threads)
      q[i] = args.q[t * args.q_stride + i];
    block.sync();
    const std::int64_t e = first + block.thread;
    if (e >= visible) return;
    const float* key = grown_rows(token, args.cache, args.keys) + e * args.dim;
    float score = 0;
    for (std::int64_t h = 0; h < args.heads; ++h) {
      float dot = 0;
      for (std::int64_t c = 0; c < args.dim; ++c) dot = fmaf(q[h * args.dim + c], key[c], dot);
      score = fmaf(args.w[t * args.w_stride + h] * args.scale, fmaxf(dot, 0.0f), score);
    }
    args.scores[t * args.most + e] = score;
  }
};

// Bits that order as the floats do.
ORRERY_ON_DEVICE std::uint32_t ordered(float value) {
  const std::uint32_t bits = float_bits(value == 0 ? 0.0f : value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

struct Choose {
  StepIndexArgs args;
  ORRERY_ON_DEVICE std::int32_t count_from(const Block& block, const float* scores, std::int32_t visible,
                                           std::uint32_t least) const {
    std::int32_t count = 0;
    for (std::int32_t e = block.thread; e < visible; e += block.threads) count += ordered(scores[e]) >= least ? 1 : 0;
    return block_sum(block, count, block.memory);
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t t = block.index;
    const std::int32_t visible = visible_rows(args.tokens[t], args.keys), top = static_cast<std::int32_t>(args.top);
    if (visible <= top) return;
    const float* scores = args.scores + t * args.most;
    std::uint32_t bar = 0;  // the highest that `top` entries reach
    for (int bit = 31; bit >= 0; --bit)
      if (count_from(block, scores, visible, bar | 1u << bit) >= top) bar |= 1u << bit;
    // Those above it are in; of those at it, the lowest.
    std::int32_t left = top - (bar == 0xFFFFFFFFu ? 0 : count_from(block, scores, visible, bar + 1));
    auto* counts = reinterpret_cast<std::int32_t*>(block.memory + kReduceBytes);  // [warps, 2]
    std::int32_t next = 0;
    const unsigned below = (1u << block.lane()) - 1u;
    for (std::int32_t first = 0; first < visible; first += block.threads) {
      const std::int32_t e = first + block.thread;
      const std::uint32_t mine = e < visible ? ordered(scores[e]) : 0;
      const bool above = e < visible && mine > bar, equal = e < visible && mine == bar;
      const unsigned above_bits = ballot(above), equal_bits = ballot(equal);
      if (block.lane() == 0) {
        counts[2 * block.warp()] = ones(above_bits);
        counts[2 * block.warp() + 1] = ones(equal_bits);
      }
      block.sync();
      std::int32_t above_before = ones(above_bits & below), equal_before = ones(equal_bits & below);
      std::int32_t all_above = 0, all_equal = 0;
      for (int w = 0; w < block.warps(); ++w) {
        if (w < block.warp()) above_before += counts[2 * w], equal_before += counts[2 * w + 1];
        all_above += counts[2 * w], all_equal += counts[2 * w + 1];
      }
      if (above || (equal && equal_before < left))
        args.chosen[t * args.top + next + above_before + (equal_before < left ? equal_before : left)] = e;
      const std::int32_t taken = all_equal < left ? all_equal : left;
      next += all_above + taken;
      left -= taken;
      block.sync();
    }
  }

  static ORRERY_ON_DEVICE std::int32_t ones(unsigned bits) {
    std::int32_t count = 0;
    for (; bits != 0; bits &= bits - 1) ++count;
    return count;
  }
};

void index(const StepIndexArgs& args) {
  const std::int64_t parts = (args.most + kThreads - 1) / kThreads;
  launch_blocks(StepIndexArgs::kOp, args.count * parts, kThreads, args.heads * args.dim * std::int64_t{sizeof(float)},
                Score{args, parts});
  launch_blocks(StepIndexArgs::kOp, args.count, kThreads,
                kReduceBytes + 2 * (kThreads / kWarp) * std::int64_t{sizeof(std::int32_t)}, Choose{args});
}

const char* small_queries(const StepIndexArgs& args) {
  return args.heads * args.dim * std::int64_t{sizeof(float)} <= kMaxShared ? nullptr
                                                                           : "queries that do not fit a block's memory";
}

}  // namespace

void add_step_index_kernels() { add_kernel<StepIndexArgs>(Device::cuda, "bits", index, small_queries); }

}  // namespace orrery::gpu
