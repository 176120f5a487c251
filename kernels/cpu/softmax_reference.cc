// The plain-loop references of softmax and cross entropy.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/registry.h"
#include "kernels/api/softmax.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

struct RowSum {
  double max, sum;
};

RowSum row_sum(const TensorView& x, std::int64_t base, std::int64_t d) {
  double max = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t i = 0; i < d; ++i) max = std::max(max, load(x, base + i));
  if (std::isinf(max) && max < 0) return {0, 0};
  for (std::int64_t i = 0; i < d; ++i) sum += std::exp(load(x, base + i) - max);
  return {max, sum};
}

void softmax_reference(const SoftmaxArgs& args) {
  const std::int64_t d = row_length(args.x);
  for (std::int64_t row = 0; row < row_count(args.x); ++row) {
    const RowSum total = row_sum(args.x, row * d, d);
    for (std::int64_t i = row * d; i < (row + 1) * d; ++i) {
      const double shifted = load(args.x, i) - total.max;
      store(args.y, i, args.log ? shifted - std::log(total.sum) : total.sum == 0 ? 0 : std::exp(shifted) / total.sum);
    }
  }
}

void softmax_backward_reference(const SoftmaxBackwardArgs& args) {
  const std::int64_t d = row_length(args.y);
  for (std::int64_t row = 0; row < row_count(args.y); ++row) {
    double sum = 0;
    for (std::int64_t i = row * d; i < (row + 1) * d; ++i)
      sum += load(args.grad_y, i) * (args.log ? 1 : load(args.y, i));
    for (std::int64_t i = row * d; i < (row + 1) * d; ++i) {
      const double y = load(args.y, i), grad = load(args.grad_y, i);
      store(args.grad_x, i, args.log ? grad - std::exp(y) * sum : y * (grad - sum));
    }
  }
}

void cross_entropy_reference(const CrossEntropyArgs& args) {
  const std::int64_t classes = row_length(args.logits);
  for (std::int64_t row = 0; row < row_count(args.logits); ++row) {
    const std::int64_t base = row * classes, target = args.targets.as<const std::int32_t>()[row];
    const double weight = target < 0 ? 0 : args.weights ? double{args.weights.as<const float>()[row]} : 1;
    const RowSum total = row_sum(args.logits, base, classes);
    args.losses.as<float>()[row] =
        target < 0 ? 0.0f : static_cast<float>(std::log(total.sum) - (load(args.logits, base + target) - total.max));
    if (!args.grad) continue;
    for (std::int64_t i = 0; i < classes; ++i)
      store(args.grad, base + i,
            weight * (std::exp(load(args.logits, base + i) - total.max) / total.sum - (i == target ? 1 : 0)));
  }
}

void draw_reference(const DrawArgs& args) {
  const std::int64_t n = args.logits.shape[1];
  parallel_blocks(args.logits.shape[0], 8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> weights(static_cast<std::size_t>(n));
    for (std::int64_t row = begin; row < end; ++row) {
      const float* logits = args.logits.as<const float>() + row * args.logits.strides[0];
      const float most = *std::max_element(logits, logits + n);
      double sum = 0;
      for (std::size_t i = 0; i < weights.size(); ++i) sum += double{weights[i] = std::exp(logits[i] - most)};
      double left = double{args.uniforms.as<const float>()[row]} * sum;
      std::size_t drawn = 0;
      while (drawn + 1 < weights.size() && (left -= double{weights[drawn]}) >= 0) ++drawn;
      args.out.as<std::int32_t>()[row] = static_cast<std::int32_t>(drawn);
    }
  });
}

}  // namespace

void add_softmax_references() {
  add_kernel<SoftmaxArgs>(Device::cpu, "reference", softmax_reference);
  add_kernel<SoftmaxBackwardArgs>(Device::cpu, "reference", softmax_backward_reference);
  add_kernel<CrossEntropyArgs>(Device::cpu, "reference", cross_entropy_reference);
  add_kernel<DrawArgs>(Device::cpu, "reference", draw_reference);
}

}  // namespace orrery
