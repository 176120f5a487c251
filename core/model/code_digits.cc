#include "core/model/code_digits.h"

#include <algorithm>

#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"

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

// [T, digits] i32: the digits of number(id), −1 where it is negative.
template <typename Number>
Tensor digits_of(const Tensor& ids, const std::vector<std::int64_t>& levels, const Number& number) {
  const Tensor digits = Tensor::empty({ids.numel(), static_cast<std::int64_t>(levels.size())}, DType::i32);
  auto* out = digits.data<std::int32_t>();
  for (const std::int32_t id : ids.span<std::int32_t>()) {
    const std::int32_t whole = number(id);
    auto rest = static_cast<std::uint32_t>(std::max(whole, 0));  // 32 bits divide faster
    for (const std::int64_t level : levels) {
      const auto of = static_cast<std::uint32_t>(level);
      *out++ = whole < 0 ? -1 : static_cast<std::int32_t>(rest % of);
      rest /= of;
    }
  }
  return digits;
}

// [T, Σ levels] f32 where digits [T, digits] i32 are: ones at the digits, the first digit's levels first.
Tensor hot_digits(const Tensor& digits, const std::vector<std::int64_t>& levels) {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < levels.size(); ++i)
    parts.push_back(
        ops::one_hot(digits.alias({digits.dim(0)}, {digits.dim(1)}, static_cast<std::int64_t>(i)), levels[i]));
  return ops::concat(parts, 1);
}

}  // namespace

std::vector<std::int64_t> extra_digits(std::int32_t id, const ModelConfig& config) {
  if (id < config.first_code()) return {};
  return digits_in((id - config.first_code()) / config.table_codes(), config.video.extra_levels);
}

Tensor table_rows(const Tensor& ids, const ModelConfig& config) {
  const Tensor rows = Tensor::empty(ids.shape(), DType::i32);
  const auto given = ids.span<std::int32_t>();
  // Worked out once: a configuration multiplies levels each time it is asked.
  const auto first = static_cast<std::int32_t>(config.first_code()),
             codes = static_cast<std::int32_t>(config.table_codes());
  std::transform(given.begin(), given.end(), rows.data<std::int32_t>(),
                 [=](std::int32_t id) { return id < first ? id : first + (id - first) % codes; });
  return rows;
}

Tensor extra_digits_of(const Tensor& ids, const ModelConfig& config) {
  const auto first = static_cast<std::int32_t>(config.first_code()),
             codes = static_cast<std::int32_t>(config.table_codes());
  return digits_of(ids, config.video.extra_levels,
                   [=](std::int32_t id) { return id < first ? -1 : (id - first) / codes; });
}

Tensor one_hot_extra(const Tensor& ids, const ModelConfig& config, Device device) {
  return hot_digits(extra_digits_of(ids, config).to(device), config.video.extra_levels);
}

Tensor one_hot_digits(const Tensor& ids, const ModelConfig& config, Device device) {
  const auto first = static_cast<std::int32_t>(config.first_code()),
             codes = static_cast<std::int32_t>(config.table_codes());
  const Tensor digits =
      digits_of(ids, config.video.levels, [=](std::int32_t id) { return id < first ? -1 : (id - first) % codes; });
  return hot_digits(digits.to(device), config.video.levels);
}

Tensor with_digits(const Tensor& table, const Tensor& digits, const ModelConfig& config) {
  if (!digits.defined()) return table;
  const Tensor ids = Tensor::empty({config.vocab_size}, DType::i32);
  for (std::int64_t id = 0; id < config.vocab_size; ++id) ids.data<std::int32_t>()[id] = static_cast<std::int32_t>(id);
  return ops::add(table, ops::linear(one_hot_digits(ids, config, digits.device()), digits));
}

Tensor embed_ids(const DigitTable& table, const Tensor& ids, const ModelConfig& config, DType compute) {
  const Tensor rows = with_digits(table.rows, table.digits, config);
  const Tensor embedded = ops::embedding(rows, table_rows(ids, config), compute);
  if (!table.extra.defined()) return embedded;
  return ops::add(embedded, ops::linear(one_hot_extra(ids, config, table.extra.device()).to(compute), table.extra));
}

}  // namespace orrery
