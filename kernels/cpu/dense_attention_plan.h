// Sizes of the dense attention on Highway, and what a query sees.
#pragma once

#include <algorithm>
#include <cstdint>

namespace orrery {

inline constexpr std::int64_t kDenseRows = 96;  // queries a block

struct DensePlan {
  std::int64_t queries, keys, group;  // group: heads a key head
  std::int64_t depth, width;          // of a key and of a value, rounded up to 16
  std::int64_t parts;                 // tasks of the forward pass a key head
  bool causal;

  template <class Args>
  explicit DensePlan(const Args& args)
      : queries(args.q.shape[1]),
        keys(args.k.shape[1]),
        group(args.q.shape[2] / args.k.shape[2]),
        depth((args.k.shape[3] + 15) / 16 * 16),
        width((args.v.shape[3] + 15) / 16 * 16),
        causal(args.causal) {
    // Each part copies the keys again: eight blocks or more, unless there would be few tasks.
    const std::int64_t few = 16 / std::max<std::int64_t>(1, args.k.shape[0] * args.k.shape[2]);
    parts = std::clamp<std::int64_t>(std::max(few, blocks() * group / 8), 1, blocks());
  }

  std::int64_t blocks() const { return (queries + kDenseRows - 1) / kDenseRows; }
  /// Keys that query t sees: the first ones.
  std::int64_t seen(std::int64_t t) const {
    return causal ? std::clamp<std::int64_t>(t + keys - queries + 1, 0, keys) : keys;
  }
};

}  // namespace orrery
