// What lies between two parts of a layer when tokens are decoded: a block a token does all of it, so that a step has
// few launches.
#include <cmath>

#include "kernels/api/decode_step.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/vectors.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;
constexpr int kMostStreams = 8;

// Σ of squares in f64, as the host has it.
ORRERY_ON_DEVICE double squares(const Block& block, const float* x, std::int64_t count, unsigned char* place) {
  double sum = 0;
  for (std::int64_t i = block.thread; i < count; i += block.threads)
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return block_sum(block, sum, place);
}

ORRERY_ON_DEVICE float inverse_root(double sum, std::int64_t count, float eps) {
  return static_cast<float>(1 / sqrt(sum / static_cast<double>(count) + static_cast<double>(eps)));
}

struct Join {
  StepJoinArgs args;

  // Without hyper-connections: state += part.
  ORRERY_ON_DEVICE void plain(const Block& block) const {
    const std::int64_t d = args.width, t = block.index;
    float* x = args.state + t * d;
    if (args.part != nullptr)
      for (std::int64_t i = block.thread; i < d; i += block.threads) x[i] += args.part[t * d + i];
    block.sync();
    const float inverse = inverse_root(squares(block, x, d, block.memory), d, args.options.norm_eps);
    for (std::int64_t i = block.thread; i < d; i += block.threads)
      args.out[t * d + i] = x[i] * (inverse * args.norm[i]);
  }

  // x_k = post_k · part + Σ_m comb[m, k] · x_m
  ORRERY_ON_DEVICE void add_part(const Block& block, float* x) const {
    const std::int64_t n = args.streams, d = args.width, t = block.index;
    for (std::int64_t i = block.thread; i < d; i += block.threads) {
      float before[kMostStreams], next[kMostStreams];
      const float f = args.part[t * d + i];
      for (int m = 0; m < n; ++m) before[m] = x[m * d + i];
      for (int k = 0; k < n; ++k) {
        next[k] = args.post[t * n + k] * f;
        for (int m = 0; m < n; ++m) next[k] = fmaf(args.comb[(t * n + m) * n + k], before[m], next[k]);
      }
      for (int k = 0; k < n; ++k) x[k * d + i] = next[k];
    }
  }

  // A lane's part of a mix: four values at a time where rows are aligned for it.
  ORRERY_ON_DEVICE float mix_part(const float* fn, const float* x, std::int64_t count, int lane) const {
    float sum = 0;
    if (count % 4 != 0) {
      for (std::int64_t i = lane; i < count; i += kWarp) sum = fmaf(fn[i], x[i], sum);
      return sum;
    }
    for (std::int64_t i = 4 * lane; i < count; i += 4 * kWarp) {
      const auto a = load_as<FourFloats>(fn + i), b = load_as<FourFloats>(x + i);
      ORRERY_UNROLL
      for (int v = 0; v < 4; ++v) sum = fmaf(a.values[v], b.values[v], sum);
    }
    return sum;
  }

  // The n × n mixes to a doubly stochastic matrix: lane r has row r, then column r.
  ORRERY_ON_DEVICE void sinkhorn(const Block& block, float* c, const float* mixed, float inverse) const {
    const int n = static_cast<int>(args.streams), lane = block.lane();
    const float eps = args.options.eps;
    if (lane < n) {
      float top = -INFINITY, sum = 0;
      for (int k = 0; k < n; ++k) {
        const int at = 2 * n + lane * n + k;
        c[lane * n + k] = mixed[at] * inverse * args.scale[2] + args.base[at];
        top = fmaxf(top, c[lane * n + k]);
      }
      for (int k = 0; k < n; ++k) sum += c[lane * n + k] = expf(c[lane * n + k] - top);
      for (int k = 0; k < n; ++k) c[lane * n + k] = c[lane * n + k] / sum + eps;
    }
    warp_sync();
    for (int pass = 1; pass < 2 * args.options.iterations; ++pass) {
      const bool by_row = pass % 2 == 0;
      const int line = by_row ? n : 1, step = by_row ? 1 : n;
      if (lane < n) {
        float sum = eps;
        for (int k = 0; k < n; ++k) sum += c[lane * line + k * step];
        for (int k = 0; k < n; ++k) c[lane * line + k * step] /= sum;
      }
      warp_sync();
    }
    for (int i = lane; i < n * n; i += kWarp) args.comb[block.index * n * n + i] = c[i];
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    if (args.streams == 0) return plain(block);
    const std::int64_t n = args.streams, d = args.width, t = block.index;
    auto* mixed = reinterpret_cast<float*>(block.memory + kReduceBytes);
    float *pre = mixed + args.mixes, *matrix = pre + n;
    float* x = args.state + t * n * d;
    if (args.part != nullptr) add_part(block, x);
    block.sync();
    for (std::int64_t m = block.warp(); m < args.mixes; m += block.warps()) {
      const float sum = warp_reduce(mix_part(args.fn + m * n * d, x, n * d, block.lane()), Plus());
      if (block.lane() == 0) mixed[m] = sum;
    }
    const float inverse = inverse_root(squares(block, x, n * d, block.memory), n * d, args.options.norm_eps);
    const bool whole = args.mixes > n;
    if (block.thread < n) {
      const int i = block.thread;
      pre[i] = sigmoid(mixed[i] * inverse * args.scale[0] + args.base[i]) + args.options.eps;
      if (whole) args.post[t * n + i] = 2 * sigmoid(mixed[n + i] * inverse * args.scale[1] + args.base[n + i]);
    }
    if (whole && block.warp() == block.warps() - 1) sinkhorn(block, matrix, mixed, inverse);
    block.sync();
    double sum = 0;
    for (std::int64_t i = block.thread; i < d; i += block.threads) {
      float h = 0;
      for (int m = 0; m < n; ++m) h = fmaf(pre[m], x[m * d + i], h);
      args.out[t * d + i] = h;
      sum += static_cast<double>(h) * static_cast<double>(h);
    }
    const float scale = inverse_root(block_sum(block, sum, block.memory), d, args.options.norm_eps);
    for (std::int64_t i = block.thread; i < d; i += block.threads) args.out[t * d + i] *= scale * args.norm[i];
  }
};

void join(const StepJoinArgs& args) {
  const std::int64_t floats = args.mixes + args.streams + args.streams * args.streams;
  launch_blocks(StepJoinArgs::kOp, args.count, kThreads, kReduceBytes + floats * std::int64_t{sizeof(float)},
                Join{args});
}

const char* few_streams(const StepJoinArgs& args) {
  return args.streams <= kMostStreams ? nullptr : "more than 8 streams";
}

}  // namespace

void add_step_join_kernels() { add_kernel<StepJoinArgs>(Device::cuda, "blocks", join, few_streams); }

}  // namespace orrery::gpu
