// Reductions over any dimensions of any strides, in an order that depends only on the shape.
#include <algorithm>
#include <cmath>

#include "kernels/api/reduce.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

// Sums are kept in f64: this is bound by memory, and the order then hardly shows. A block works on `outputs`
// neighbouring results (1 or 32): neighbouring threads on neighbouring results, so that sums down the columns of a
// matrix read whole rows. Where that makes few blocks, each result's elements are cut into parts, whose results are
// joined afterwards.
struct Reduce {
  Values x, y;
  Walk<1> outer;  ///< results → where their part of x begins
  Walk<1> inner;  ///< elements of one result's part
  std::int64_t results;
  int outputs;
  Reduction op;
  std::int64_t parts = 1, length = 0;  ///< elements of a part
  double* partial = nullptr;           ///< [parts, results], with several parts

  ORRERY_ON_DEVICE double joined(double a, double b) const { return op == Reduction::max ? Larger()(a, b) : a + b; }
  ORRERY_ON_DEVICE void finish(std::int64_t result, double total) const {
    y.store<double>(result, op == Reduction::mean ? total / static_cast<double>(inner.total) : total);
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    double* sums = reinterpret_cast<double*>(block.memory);
    const int slices = block.threads / outputs, column = block.thread % outputs, slice = block.thread / outputs;
    const std::int64_t part = block.index % parts, result = block.index / parts * outputs + column;
    double sum = op == Reduction::max ? -INFINITY : 0.0;
    if (result < results) {
      const std::int64_t base = outer(result).at[0], end = (part + 1) * length;
      for (std::int64_t i = part * length + slice; i < (end < inner.total ? end : inner.total); i += slices)
        sum = joined(sum, x.load<double>(base + inner(i).at[0]));
    }
    sums[block.thread] = sum;
    for (int half = slices / 2; half > 0; half /= 2) {
      block.sync();
      if (slice < half) sums[block.thread] = joined(sums[block.thread], sums[block.thread + half * outputs]);
    }
    if (slice > 0 || result >= results) return;
    if (parts > 1)
      partial[part * results + result] = sums[block.thread];
    else
      finish(result, sums[block.thread]);
  }
};

struct JoinParts {
  Reduce whole;
  ORRERY_ON_DEVICE void operator()(std::int64_t result) const {
    double sum = whole.partial[result];
    for (std::int64_t part = 1; part < whole.parts; ++part)
      sum = whole.joined(sum, whole.partial[part * whole.results + result]);
    whole.finish(result, sum);
  }
};

void reduce(const ReduceArgs& args) {
  // x's dimensions that stay, and those that go, each as a view of its own.
  TensorView kept = args.x, gone = args.x;
  bool last_kept = true;
  for (int d = 0; d < args.x.rank; ++d) {
    const bool reduced = args.y.shape[d] != args.x.shape[d];
    (reduced ? kept : gone).shape[d] = 1;
    if (args.x.shape[d] != 1) last_kept = !reduced;
  }
  const TensorView* const kept_views[] = {&kept};
  const TensorView* const gone_views[] = {&gone};
  Reduce kernel{
      values_of(args.x), values_of(args.y), make_walk(kept_views), make_walk(gone_views), kept.numel(), 1, args.op};
  if (last_kept || kernel.inner.total <= 8) kernel.outputs = kernel.inner.total <= 8 ? kThreads : kWarp;
  const std::int64_t blocks = (kernel.results + kernel.outputs - 1) / kernel.outputs;
  constexpr std::int64_t kEnoughBlocks = 512, kMostParts = 128, kElementsAThread = 32;
  const std::int64_t a_part = kElementsAThread * (kThreads / kernel.outputs);
  if (blocks > 0 && blocks < kEnoughBlocks)
    kernel.parts =
        std::clamp<std::int64_t>(kernel.inner.total / a_part, 1, std::min(kMostParts, kEnoughBlocks / blocks));
  kernel.length = (kernel.inner.total + kernel.parts - 1) / kernel.parts;
  if (kernel.parts > 1)
    kernel.partial =
        static_cast<double*>(scratch(kScratchReduce, kernel.results * kernel.parts * std::int64_t{sizeof(double)}));
  launch_blocks(ReduceArgs::kOp, blocks * kernel.parts, kThreads, kThreads * std::int64_t{sizeof(double)}, kernel);
  if (kernel.parts > 1) launch_each(ReduceArgs::kOp, kernel.results, JoinParts{kernel});
}

// Each block sums its share of x; one block then sums the shares.
template <class T>
struct SquareShares {
  const T* x;
  double* shares;
  std::int64_t count, blocks;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    double sum = 0;
    for (std::int64_t i = block.index * block.threads + block.thread; i < count; i += blocks * block.threads) {
      const double value = static_cast<double>(to_float(x[i]));
      sum += value * value;
    }
    sum = block_sum(block, sum, block.memory);
    if (block.thread == 0) shares[block.index] = sum;
  }
};

struct ShareSum {
  const double* shares;
  float* out;
  std::int64_t count;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    double sum = 0;
    for (std::int64_t i = block.thread; i < count; i += block.threads) sum += shares[i];
    sum = block_sum(block, sum, block.memory);
    if (block.thread == 0) *out = static_cast<float>(sum);
  }
};

void sum_squares(const SumSquaresArgs& args) {
  const std::int64_t count = args.x.numel();
  constexpr std::int64_t kMostBlocks = 512;
  const std::int64_t blocks = std::clamp<std::int64_t>((count + 4 * kThreads - 1) / (4 * kThreads), 1, kMostBlocks);
  auto* shares = static_cast<double*>(scratch(kScratchReduce, blocks * std::int64_t{sizeof(double)}));
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_blocks(SumSquaresArgs::kOp, blocks, kThreads, kReduceBytes,
                  SquareShares<T>{args.x.as<const T>(), shares, count, blocks});
  });
  launch_blocks(SumSquaresArgs::kOp, 1, kThreads, kReduceBytes, ShareSum{shares, args.sum.as<float>(), blocks});
}

}  // namespace

void add_reduce_kernels() {
  add_kernel<ReduceArgs>(Device::cuda, "blocks", reduce);
  add_kernel<SumSquaresArgs>(Device::cuda, "blocks", sum_squares);
}

}  // namespace orrery::gpu
