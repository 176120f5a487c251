#include "core/model/code_digits.h"

#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/matmul.h"

namespace orrery {

namespace {

std::vector<std::int64_t> digits_in(std::int64_t number, const std::vector<std::int64_t>& levels) {
  std::vector<std::int64_t> digits;
  for (const std::int64_t level : levels) {
    digits.push_back(number % level);
    number /= level;
  }
  return digits;
}

// [T, Σ levels]: ones at the digits of number(id), the first digit's levels first; zeros where it is negative.
template <typename Number>
Tensor one_hot(const Tensor& ids, const std::vector<std::int64_t>& levels, const Number& number) {
  std::int64_t width = 0;
  for (const std::int64_t level : levels) width += level;
  const Tensor hot = Tensor::zeros({ids.numel(), width});
  for (std::int64_t t = 0; t < ids.numel(); ++t) {
    std::int64_t rest = number(ids.data<std::int32_t>()[t]);
    float* row = hot.data<float>() + t * width;
    for (std::size_t i = 0; i < levels.size() && rest >= 0; ++i, row += levels[i - 1]) {
      row[rest % levels[i]] = 1.0f;
      rest /= levels[i];
    }
  }
  return hot;
}

}  // namespace

std::vector<std::int64_t> extra_digits(std::int32_t id, const ModelConfig& config) {
  if (id < config.first_code()) return {};
  return digits_in((id - config.first_code()) / config.table_codes(), config.video.extra_levels);
}

Tensor table_rows(const Tensor& ids, const ModelConfig& config) {
  const Tensor rows = Tensor::empty(ids.shape(), DType::i32);
  for (std::int64_t t = 0; t < ids.numel(); ++t)
    rows.data<std::int32_t>()[t] = config.table_row(ids.data<std::int32_t>()[t]);
  return rows;
}

Tensor one_hot_extra(const Tensor& ids, const ModelConfig& config) {
  const std::int64_t first = config.first_code(), codes = config.table_codes();
  return one_hot(ids, config.video.extra_levels,
                 [=](std::int32_t id) { return id < first ? std::int64_t{-1} : (id - first) / codes; });
}

Tensor one_hot_digits(const Tensor& ids, const ModelConfig& config) {
  const std::int64_t first = config.first_code(), codes = config.table_codes();
  return one_hot(ids, config.video.levels,
                 [=](std::int32_t id) { return id < first ? std::int64_t{-1} : (id - first) % codes; });
}

Tensor with_digits(const Tensor& table, const Tensor& digits, const ModelConfig& config) {
  if (!digits.defined()) return table;
  const Tensor ids = Tensor::empty({config.vocab_size}, DType::i32);
  for (std::int64_t id = 0; id < config.vocab_size; ++id) ids.data<std::int32_t>()[id] = static_cast<std::int32_t>(id);
  return ops::add(table, ops::linear(one_hot_digits(ids, config).to(digits.device()), digits));
}

Tensor embed_ids(const DigitTable& table, const Tensor& ids, const ModelConfig& config, DType compute) {
  const Tensor rows = with_digits(table.rows, table.digits, config);
  const Tensor embedded = ops::embedding(rows, table_rows(ids, config), compute);
  if (!table.extra.defined()) return embedded;
  return ops::add(embedded, ops::linear(one_hot_extra(ids, config).to(compute).to(table.extra.device()), table.extra));
}

}  // namespace orrery
