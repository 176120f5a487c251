// How evenly experts are used.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace orrery {

/// Mean load over the largest: 1 when all experts get as many tokens. `tokens` per expert; 1 where there are none.
inline double expert_utilisation(const std::vector<std::int64_t>& tokens) {
  const std::int64_t total = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  if (total == 0) return 1;
  const std::int64_t most = *std::max_element(tokens.begin(), tokens.end());
  return static_cast<double>(total) / static_cast<double>(tokens.size()) / static_cast<double>(most);
}

/// The load's entropy over that of an even one: 1 when all experts get as many tokens.
inline double expert_entropy(const std::vector<std::int64_t>& tokens) {
  const auto total = static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0}));
  if (total == 0 || tokens.size() < 2) return 1;
  double entropy = 0;
  for (const std::int64_t count : tokens)
    if (count > 0) entropy -= static_cast<double>(count) / total * std::log(static_cast<double>(count) / total);
  return entropy / std::log(static_cast<double>(tokens.size()));
}

}  // namespace orrery
