// What the layers did with tokens: for looking inside. Filled by Decoder::trace, at some cost; generation has none of
// it.
#pragma once

#include <cstdint>
#include <vector>

namespace orrery {

/// What one layer did with one token.
struct TokenTrace {
  /// A share of the token's attention, mean over the heads, that went to tokens [first, first + count) of the
  /// sequence: one token of the window, or the `count` tokens that a compressed entry stands for.
  struct Share {
    std::int64_t first = 0, count = 1;
    float weight = 0;
  };

  /// Routed experts in the order of their choice, and their weights (sum 1, before the config's scaling factor).
  std::vector<std::int32_t> experts;
  std::vector<float> expert_weights;
  /// What is missing to a sum of 1 went to the sink: to nothing.
  std::vector<Share> attended;
};

/// [layer][token of the call]
using DecodeTrace = std::vector<std::vector<TokenTrace>>;

}  // namespace orrery
