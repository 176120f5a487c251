#include "core/model/code_digits.h"

#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace orrery {

namespace {

// [vocab, Σ levels]: ones at a code's digits, zeros in the rows of other tokens.
Tensor one_hot_digits(const ModelConfig& config) {
  const Tensor hot = Tensor::zeros({config.vocab_size, config.video.digit_values()});
  const std::int64_t first = config.vocab_size - config.video.codes, width = hot.dim(1);
  for (std::int64_t code = 0; code < config.video.codes; ++code) {
    std::int64_t rest = code, column = 0;
    for (const std::int64_t level : config.video.levels) {
      hot.data<float>()[(first + code) * width + column + rest % level] = 1.0f;
      rest /= level, column += level;
    }
  }
  return hot;
}

}  // namespace

Tensor with_digits(const Tensor& table, const Tensor& digits, const ModelConfig& config) {
  if (!digits.defined()) return table;
  return ops::add(table, ops::linear(one_hot_digits(config).to(digits.device()), digits));
}

}  // namespace orrery
