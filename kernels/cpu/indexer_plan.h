// Sizes of the fast indexer kernels, and the entries that a query may look at.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/attention_plan.h"

namespace orrery {

struct IndexPlan {
  std::int64_t batch, queries, heads, dim, columns;
  std::int64_t padded, padded_heads;  // rounded up to 16
  std::int64_t block;                 // queries a block
  std::int64_t rate, query_start, entry_start = 0;
  float scale = 1.0f;                     // of q
  const std::int32_t* indices = nullptr;  // [B, S, columns]
  KeySource keys;

  IndexPlan(const TensorView& q, const TensorView& k, const TensorView& picks, std::int64_t columns_,
            std::int64_t rate_, std::int64_t query_start_)
      : batch(q.shape[0]),
        queries(q.shape[1]),
        heads(q.shape[2]),
        dim(q.shape[3]),
        columns(columns_),
        padded((dim + 15) / 16 * 16),
        padded_heads((heads + 15) / 16 * 16),
        block(std::max<std::int64_t>(1, 96 / std::max<std::int64_t>(1, heads))),
        rate(rate_),
        query_start(query_start_),
        indices(picks.as<const std::int32_t>()) {
    keys.count = k.shape[1];
  }

  std::int64_t visible(std::int64_t t) const {
    return std::clamp<std::int64_t>((query_start + t + 1) / rate - entry_start, 0, keys.count);
  }
  /// The entry at column c of query row `row` (b · queries + t), or −1.
  std::int32_t entry(std::int64_t row, std::int64_t c) const {
    const std::int32_t e = indices ? indices[row * columns + c] : static_cast<std::int32_t>(c);
    return e >= 0 && e < visible(row % queries) ? e : -1;
  }
};

/// A chunk's share of grad_k: keys [0, count) of batch b.
struct IndexShare {
  std::int64_t b, begin, end, count;  // queries [begin, end)
  float* grad_k = nullptr;            // [count][padded]
};

}  // namespace orrery
