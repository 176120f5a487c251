// Codes from what the decoder says of the next token: their first digits by one softmax over the vocabulary's rows,
// extra digits one after the other (core/model/extra_head.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/generate/sampler.h"
#include "core/model/config.h"
#include "core/model/weights.h"

namespace orrery {

namespace decode {
struct DeviceWeights;
}

/// What a code is drawn from: a row of the decoder's (Decoder::row_size() values) and, with guidance, the row of the
/// sequence without a prompt, from which the logits move away by `guidance` (Ho and Salimans 2022).
struct CodeRows {
  std::span<const float> row;
  std::span<const float> without = {};
  float guidance = 1;
};

class CodeDraw {
 public:
  CodeDraw(const ModelConfig& config, const TransformerWeights& weights);

  /// Values of a row: the logits of the table's rows, then the units of the extra digits' head before any digit takes
  /// part.
  std::int64_t row_size() const { return vocab_ + static_cast<std::int64_t>(bias_.size()); }
  /// The id of a code, with the sampler's random numbers of `position`. The sampler's filters act on the first digits
  /// together and on each extra digit by itself.
  std::int32_t draw(const CodeRows& rows, const Sampler& sampler, std::uint64_t position) const;
  /// Entropy in bits of the distribution over codes, before temperature and filters; of extra digits, the sum of their
  /// entropies, each given the digits of the code `id` before it.
  float entropy(const CodeRows& rows, std::int32_t id) const;

 private:
  friend struct decode::DeviceWeights;
  using Choose = std::function<std::int64_t(std::size_t digit, std::span<const float> logits)>;
  std::int64_t walk(const CodeRows& rows, std::int64_t first_digits, const Choose& choose) const;
  std::vector<float> units_of(std::span<const float> row, std::int64_t first_digits) const;
  struct Digit {
    std::size_t index;
    std::int64_t column;  ///< of its first level among all extra digits'
  };
  void add_logits(const std::vector<float>& units, const Digit& digit, float factor, std::vector<float>& logits) const;

  std::int64_t vocab_, first_code_, table_codes_, width_;
  std::vector<std::int64_t> levels_, extra_levels_;
  std::vector<float> bias_;     ///< [units]
  std::vector<float> first_;    ///< [Σ levels, units]
  std::vector<float> earlier_;  ///< [Σ extra_levels, units]; zeros where a block does not see the level
  std::vector<float> out_;      ///< [Σ extra_levels, extra_width]: each level's own block
  std::vector<float> out_bias_;
};

}  // namespace orrery
