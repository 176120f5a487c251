// How the backward pass of the fast attention cuts the queries.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/attention_plan.h"

namespace orrery {

/// Consecutive queries of one batch, and their shares of the keys' gradients.
struct GradChunk {
  std::int64_t b, begin, end;     // queries [begin, end)
  KeyRange kv, entries;           // keys that they see; entries from 0
  float* grad_kv = nullptr;       // [kv.end − kv.begin, padded]
  float* grad_entries = nullptr;  // [entries.end, padded]
  double* grad_sinks = nullptr;   // [heads]
};

/// At most 16 chunks a batch, of whole blocks and of at least 128 queries: the number is the shape's, not the threads'.
inline std::vector<GradChunk> grad_chunks(const AttentionPlan& plan) {
  const std::int64_t least = std::max<std::int64_t>(128, (plan.queries + 15) / 16);
  const std::int64_t length = (least + plan.block - 1) / plan.block * plan.block;
  std::vector<GradChunk> chunks;
  for (std::int64_t b = 0; b < plan.batch; ++b)
    for (std::int64_t begin = 0; begin < plan.queries; begin += length) {
      const std::int64_t end = std::min(plan.queries, begin + length);
      chunks.push_back(
          {b, begin, end, {plan.window(begin).begin, plan.window(end - 1).end}, {0, plan.visible(end - 1)}});
    }
  return chunks;
}

inline std::int64_t share_floats(const AttentionPlan& plan, const std::vector<GradChunk>& chunks) {
  std::int64_t keys = 0;
  for (const GradChunk& chunk : chunks) keys += chunk.kv.end - chunk.kv.begin + chunk.entries.end;
  return keys * plan.padded;
}

}  // namespace orrery
