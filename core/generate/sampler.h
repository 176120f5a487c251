// From logits to a token: temperature, top-k, top-p (Holtzman et al. 2020) and min-p (Nguyen et al. 2024). The random
// number depends only on the seed and on the token's position, so that a sequence does not depend on what else was
// drawn.
#pragma once

#include <cstdint>
#include <span>

namespace orrery {

struct SamplingOptions {
  double temperature = 1.0;  ///< 0: always the most likely token
  std::int64_t top_k = 0;    ///< of the most likely tokens; 0: no limit
  double top_p = 1.0;        ///< smallest set of tokens with at least this probability
  double min_p = 0.0;        ///< tokens with at least this share of the most likely token's probability

  /// Throws InputError naming the option, what it is and what was expected.
  void validate() const;
  friend bool operator==(const SamplingOptions&, const SamplingOptions&) = default;
};

class Sampler {
 public:
  /// Throws InputError for options out of range.
  Sampler(const SamplingOptions& options, std::uint64_t seed);

  /// A token of [first, last); others are not possible whatever their logits. Filters act on the tempered probabilities
  /// within that range: min-p, then top-k, then top-p over what is left. Equal logits count in the order of their ids.
  /// Tokens below e⁻⁴⁰ of the most likely one are never drawn. `position`: the token's, from the begin of its sequence.
  /// Throws Error when a logit in the range is not a number.
  std::int32_t sample(std::span<const float> logits, std::int32_t first, std::int32_t last,
                      std::uint64_t position) const;

  const SamplingOptions& options() const { return options_; }
  std::uint64_t seed() const { return seed_; }

 private:
  SamplingOptions options_;
  std::uint64_t seed_;
};

}  // namespace orrery
