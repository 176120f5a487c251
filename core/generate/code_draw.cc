#include "core/generate/code_draw.h"

#include <algorithm>
#include <cmath>

#include "core/generate/decode_math.h"

namespace orrery {

namespace {

// Of the softmax over these logits, in bits.
double entropy_bits(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0, weighted = 0;
  for (const float logit : logits) {
    const double shifted = static_cast<double>(logit - most), weight = std::exp(shifted);
    sum += weight;
    weighted += weight * shifted;
  }
  return (std::log(sum) - weighted / sum) / std::log(2.0);
}

// The logits of the first digits, guided where asked.
std::vector<float> first_logits(const CodeRows& rows, std::int64_t first, std::int64_t count) {
  const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
  const std::span<const float> row = rows.row.subspan(at, size);
  std::vector<float> logits(row.begin(), row.end());
  if (rows.without.empty()) return logits;
  const std::span<const float> without = rows.without.subspan(at, size);
  for (std::size_t i = 0; i < size; ++i) logits[i] = without[i] + rows.guidance * (row[i] - without[i]);
  return logits;
}

Floats transposed(const Tensor& x) {
  const Floats values = x.to_vector();
  const std::int64_t rows = x.dim(0), columns = x.dim(1);
  Floats result;
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t r = 0; r < rows; ++r) result.push_back(values[static_cast<std::size_t>(r * columns + c)]);
  return result;
}

// Random numbers of a token's extra digits lie apart from those of all positions.
std::uint64_t digit_position(std::uint64_t position, std::size_t digit) {
  return position | (static_cast<std::uint64_t>(digit) + 1) << 48;
}

}  // namespace

CodeDraw::CodeDraw(const ModelConfig& config, const TransformerWeights& weights)
    : vocab_(config.vocab_size),
      first_code_(config.first_code()),
      table_codes_(config.table_codes()),
      width_(config.video.extra_width),
      levels_(config.video.levels),
      extra_levels_(config.video.extra_levels) {
  if (extra_levels_.empty()) return;
  const ExtraHeadWeights& head = weights.extra_head;
  bias_ = head.hidden_bias.to_vector();
  out_bias_ = head.out_bias.to_vector();
  if (head.first.defined()) first_ = transposed(head.first);
  earlier_ = transposed(head.earlier);
  const Floats out = head.out.to_vector();
  const auto units = static_cast<std::int64_t>(bias_.size());
  std::int64_t value = 0, block = 0;
  for (const std::int64_t level : extra_levels_) {
    for (std::int64_t i = 0; i < level; ++i, ++value) {
      std::fill_n(earlier_.begin() + value * units, block + width_, 0.0f);
      const auto own = out.begin() + value * units + block;
      out_.insert(out_.end(), own, own + width_);
    }
    block += width_;
  }
}

// What the head's units see of the hidden state and the first digits.
std::vector<float> CodeDraw::units_of(std::span<const float> row, std::int64_t first_digits) const {
  std::vector<float> units(bias_);
  const auto add = [&units](const float* values) {
    for (std::size_t i = 0; i < units.size(); ++i) units[i] += values[i];
  };
  add(row.data() + vocab_);
  std::int64_t column = 0;
  for (const std::int64_t level : levels_) {
    add(first_.data() + (column + first_digits % level) * static_cast<std::int64_t>(units.size()));
    first_digits /= level, column += level;
  }
  return units;
}

// logits += factor · the digit's logits.
void CodeDraw::add_logits(const std::vector<float>& units, const Digit& digit, float factor,
                          std::vector<float>& logits) const {
  const float* own = units.data() + static_cast<std::int64_t>(digit.index) * width_;
  std::vector<float> active(static_cast<std::size_t>(width_));
  for (std::size_t i = 0; i < active.size(); ++i) active[i] = own[i] * sigmoid(own[i]);
  for (std::size_t level = 0; level < logits.size(); ++level) {
    const std::int64_t value = digit.column + static_cast<std::int64_t>(level);
    const float* weights = out_.data() + value * width_;
    float sum = out_bias_[static_cast<std::size_t>(value)];
    for (std::size_t i = 0; i < active.size(); ++i) sum += active[i] * weights[i];
    logits[level] += factor * sum;
  }
}

// The extra digits' number, each digit as it is chosen from its logits.
std::int64_t CodeDraw::walk(const CodeRows& rows, std::int64_t first_digits, const Choose& choose) const {
  if (extra_levels_.empty()) return 0;
  const bool guided = !rows.without.empty();
  std::vector<float> units = units_of(rows.row, first_digits);
  std::vector<float> without = guided ? units_of(rows.without, first_digits) : std::vector<float>();
  std::int64_t number = 0, place = 1, column = 0;
  for (std::size_t digit = 0; digit < extra_levels_.size(); ++digit) {
    std::vector<float> logits(static_cast<std::size_t>(extra_levels_[digit]), 0.0f);
    add_logits(units, {digit, column}, guided ? rows.guidance : 1.0f, logits);
    if (guided) add_logits(without, {digit, column}, 1.0f - rows.guidance, logits);
    const std::int64_t level = choose(digit, logits);
    const float* seen = earlier_.data() + (column + level) * static_cast<std::int64_t>(units.size());
    for (std::size_t i = 0; i < units.size(); ++i) units[i] += seen[i];
    for (std::size_t i = 0; i < without.size(); ++i) without[i] += seen[i];
    number += level * place;
    place *= extra_levels_[digit];
    column += extra_levels_[digit];
  }
  return number;
}

std::int32_t CodeDraw::draw(const CodeRows& rows, const Sampler& sampler, std::uint64_t position) const {
  const std::vector<float> logits = first_logits(rows, first_code_, table_codes_);
  const std::int64_t first = sampler.sample(logits, 0, static_cast<std::int32_t>(table_codes_), position);
  const std::int64_t extra = walk(rows, first, [&](std::size_t digit, std::span<const float> of_digit) {
    return std::int64_t{
        sampler.sample(of_digit, 0, static_cast<std::int32_t>(of_digit.size()), digit_position(position, digit))};
  });
  return static_cast<std::int32_t>(first_code_ + first + table_codes_ * extra);
}

float CodeDraw::entropy(const CodeRows& rows, std::int32_t id) const {
  double bits = entropy_bits(first_logits(rows, first_code_, table_codes_));
  const std::int64_t code = id - first_code_;
  std::int64_t rest = code / table_codes_;
  walk(rows, code % table_codes_, [&](std::size_t digit, std::span<const float> logits) {
    bits += entropy_bits(logits);
    const std::int64_t level = rest % extra_levels_[digit];
    rest /= extra_levels_[digit];
    return level;
  });
  return static_cast<float>(bits);
}

}  // namespace orrery
