// Softmax over rows and the row kernel of the cross entropy: a block a row.
#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/api/softmax.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

struct RowSum {
  float max, sum;
};

// Of a row of −∞ only: {0, 0}.
template <class T>
ORRERY_ON_DEVICE RowSum row_sum(const Block& block, const T* x, std::int64_t d) {
  float max = -INFINITY, sum = 0;
  for (std::int64_t i = block.thread; i < d; i += block.threads) max = Larger()(max, to_float(x[i]));
  max = block_max(block, max, block.memory);
  if (max == -INFINITY) return {0, 0};
  for (std::int64_t i = block.thread; i < d; i += block.threads) sum += expf(to_float(x[i]) - max);
  return {max, block_sum(block, sum, block.memory)};
}

template <class T>
struct Softmax {
  const T* x;
  T* y;
  std::int64_t d;
  bool log;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const T* row = x + block.index * d;
    const RowSum total = row_sum(block, row, d);
    for (std::int64_t i = block.thread; i < d; i += block.threads) {
      const float shifted = to_float(row[i]) - total.max;
      const float value = log ? shifted - logf(total.sum) : total.sum == 0 ? 0.0f : expf(shifted) / total.sum;
      y[block.index * d + i] = from_float<T>(value);
    }
  }
};

template <class T>
struct SoftmaxBackward {
  const T *y, *grad_y;
  T* grad_x;
  std::int64_t d;
  bool log;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t base = block.index * d;
    float sum = 0;
    for (std::int64_t i = base + block.thread; i < base + d; i += block.threads)
      sum += to_float(grad_y[i]) * (log ? 1.0f : to_float(y[i]));
    sum = block_sum(block, sum, block.memory);
    for (std::int64_t i = base + block.thread; i < base + d; i += block.threads) {
      const float value = to_float(y[i]), grad = to_float(grad_y[i]);
      grad_x[i] = from_float<T>(log ? grad - expf(value) * sum : value * (grad - sum));
    }
  }
};

template <class T, class G>
struct CrossEntropy {
  const T* logits;
  const std::int32_t* targets;
  const float* weights;
  float* losses;
  G* grad;  ///< may be the logits' own memory: an element is read before the same thread writes it
  std::int64_t classes;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const T* row = logits + block.index * classes;
    const std::int64_t target = targets[block.index];
    const RowSum total = row_sum(block, row, classes);
    const float at_target = target < 0 ? 0.0f : to_float(row[target]);
    block.sync();  // all have read it
    if (block.thread == 0) losses[block.index] = target < 0 ? 0.0f : logf(total.sum) - (at_target - total.max);
    if (!grad) return;
    const float weight = target < 0 ? 0.0f : weights ? weights[block.index] : 1.0f;
    for (std::int64_t i = block.thread; i < classes; i += block.threads) {
      const float share = expf(to_float(row[i]) - total.max) / total.sum;
      grad[block.index * classes + i] = from_float<G>(weight * (share - (i == target ? 1.0f : 0.0f)));
    }
  }
};

// A thread has a run of neighbouring columns: it sums their weights, and the one whose run the uniform falls into looks
// for the column.
struct Draw {
  const float *logits, *uniforms;
  std::int32_t* out;
  std::int64_t n, stride;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto* sums = reinterpret_cast<double*>(block.memory + kReduceBytes);  // [threads]
    const float* row = logits + block.index * stride;
    float most = -INFINITY;
    for (std::int64_t i = block.thread; i < n; i += block.threads) most = fmaxf(most, row[i]);
    most = block_max(block, most, block.memory);
    const std::int64_t run = (n + block.threads - 1) / block.threads, first = block.thread * run,
                       end = first + run < n ? first + run : n;
    double own = 0;
    for (std::int64_t i = first; i < end; ++i) own += static_cast<double>(expf(row[i] - most));
    sums[block.thread] = own;
    block.sync();
    double before = 0, all = 0;
    for (int t = 0; t < block.threads; ++t) {
      if (t == block.thread) before = all;
      all += sums[t];
    }
    const double wanted = static_cast<double>(uniforms[block.index]) * all;
    const bool last = first < n && end == n;  // rounding may leave the uniform behind all runs
    if (first >= n || wanted < before || (wanted >= before + own && !last)) return;
    std::int64_t drawn = first;
    for (double left = wanted - before; drawn + 1 < end; ++drawn)
      if ((left -= static_cast<double>(expf(row[drawn] - most))) < 0) break;
    out[block.index] = static_cast<std::int32_t>(drawn);
  }
};

void draw(const DrawArgs& args) {
  launch_blocks(DrawArgs::kOp, args.logits.shape[0], kThreads, kReduceBytes + kThreads * std::int64_t{sizeof(double)},
                Draw{args.logits.as<const float>(), args.uniforms.as<const float>(), args.out.as<std::int32_t>(),
                     args.logits.shape[1], args.logits.strides[0]});
}

void softmax(const SoftmaxArgs& args) {
  with_float_type(args.x.dtype, [&]<class T>() {
    launch_blocks(SoftmaxArgs::kOp, row_count(args.x), kThreads, kReduceBytes,
                  Softmax<T>{args.x.as<const T>(), args.y.as<T>(), row_length(args.x), args.log});
  });
}

void softmax_backward(const SoftmaxBackwardArgs& args) {
  with_float_type(args.y.dtype, [&]<class T>() {
    launch_blocks(SoftmaxBackwardArgs::kOp, row_count(args.y), kThreads, kReduceBytes,
                  SoftmaxBackward<T>{args.y.as<const T>(), args.grad_y.as<const T>(), args.grad_x.as<T>(),
                                     row_length(args.y), args.log});
  });
}

void cross_entropy(const CrossEntropyArgs& args) {
  with_float_type(args.logits.dtype, [&]<class T>() {
    with_float_type(args.grad ? args.grad.dtype : args.logits.dtype, [&]<class G>() {
      launch_blocks(CrossEntropyArgs::kOp, row_count(args.logits), kThreads, kReduceBytes,
                    CrossEntropy<T, G>{args.logits.as<const T>(), args.targets.as<const std::int32_t>(),
                                       args.weights.as<const float>(), args.losses.as<float>(), args.grad.as<G>(),
                                       row_length(args.logits)});
    });
  });
}

}  // namespace

void add_softmax_kernels() {
  add_kernel<SoftmaxArgs>(Device::cuda, "rows", softmax);
  add_kernel<SoftmaxBackwardArgs>(Device::cuda, "rows", softmax_backward);
  add_kernel<CrossEntropyArgs>(Device::cuda, "rows", cross_entropy);
  add_kernel<DrawArgs>(Device::cuda, "rows", draw);
}

}  // namespace orrery::gpu
