#include "core/model/extra_head.h"

#include <algorithm>

#include "core/model/code_digits.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

// [units, Σ extra_levels]: a block sees the levels of the digits before its own.
Tensor earlier_mask(const ModelConfig& config) {
  const std::int64_t width = config.video.extra_width, values = config.video.extra_values();
  const Tensor mask = Tensor::zeros({config.video.extra_units(), values});
  float* row = mask.data<float>();
  std::int64_t before = 0;
  for (const std::int64_t level : config.video.extra_levels) {
    for (std::int64_t unit = 0; unit < width; ++unit, row += values) std::fill_n(row, before, 1.0f);
    before += level;
  }
  return mask;
}

// [Σ extra_levels, units]: a digit's logits see its own block.
Tensor out_mask(const ModelConfig& config) {
  const std::int64_t width = config.video.extra_width, units = config.video.extra_units();
  const Tensor mask = Tensor::zeros({config.video.extra_values(), units});
  float* row = mask.data<float>();
  std::int64_t block = 0;
  for (const std::int64_t level : config.video.extra_levels) {
    for (std::int64_t value = 0; value < level; ++value, row += units) std::fill_n(row + block, width, 1.0f);
    block += width;
  }
  return mask;
}

}  // namespace

Tensor extra_logits(const Tensor& hidden, const Tensor& ids, const ExtraHeadWeights& weights,
                    const ModelConfig& config) {
  const Device device = hidden.device();
  const auto seen = [&](const Tensor& one_hot, const Tensor& weight) {
    return ops::linear(one_hot.to(hidden.dtype()), weight);
  };
  Tensor units = ops::linear(hidden, weights.hidden, weights.hidden_bias);
  if (weights.first.defined()) units = ops::add(units, seen(one_hot_digits(ids, config, device), weights.first));
  const Tensor earlier = ops::mul(weights.earlier, earlier_mask(config).to(device));
  units = ops::silu(ops::add(units, seen(one_hot_extra(ids, config, device), earlier)));
  const Tensor out = ops::mul(weights.out, out_mask(config).to(device));
  return ops::cast(ops::linear(units, out, weights.out_bias), DType::f32);
}

ops::HeadLoss extra_loss(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const ExtraHeadWeights& head, const ModelConfig& config) {
  double all = 0, codes = 0;
  const std::int64_t first_code = config.first_code();
  const auto* id = targets.data<std::int32_t>();
  const float* of = weights.data<float>();
  for (std::int64_t t = 0; t < targets.numel(); ++t) {
    const double weight = id[t] < 0 ? 0 : double{of[t]};
    all += weight;
    if (id[t] >= first_code) codes += weight;
  }
  const auto share = static_cast<float>(all > 0 ? codes / all : 0);
  const std::vector<Tensor> by_digit =
      ops::split(extra_logits(hidden, targets, head, config), 1, config.video.extra_levels);
  const Tensor digits = extra_digits_of(targets, config);
  ops::HeadLoss sum;
  for (std::size_t i = 0; i < by_digit.size(); ++i) {
    const Tensor wanted = digits.alias({targets.numel()}, {digits.dim(1)}, static_cast<std::int64_t>(i));
    const ops::HeadLoss digit = ops::cross_entropy(by_digit[i], wanted, weights);
    sum.total = sum.total.defined() ? ops::add(sum.total, digit.total) : digit.total;
    sum.losses = sum.losses.defined() ? ops::add(sum.losses, digit.losses) : digit.losses;
  }
  sum.total = ops::scale(sum.total, share);
  return sum;
}

}  // namespace orrery
