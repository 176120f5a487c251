// How the backward pass of the fast attention cuts the queries.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/arena.h"
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

/// The chunks of one call, the memory of their shares, and their sum.
class GradShares {
 public:
  explicit GradShares(const AttentionPlan& plan)
      : chunks(grad_chunks(plan)), plan_(plan), sinks_(chunks.size() * static_cast<std::size_t>(plan.heads)) {}

  std::int64_t floats() const {
    std::int64_t keys = 0;
    for (const GradChunk& chunk : chunks) keys += chunk.kv.end - chunk.kv.begin + chunk.entries.end;
    return keys * plan_.padded;
  }
  /// Gives every chunk its memory: floats() of `arena`.
  void place(Arena& arena) {
    float* shares = arena.take(floats());
    for (std::size_t c = 0; c < chunks.size(); ++c) {
      chunks[c].grad_kv = shares;
      shares += (chunks[c].kv.end - chunks[c].kv.begin) * plan_.padded;
      chunks[c].grad_entries = shares;
      shares += chunks[c].entries.end * plan_.padded;
      chunks[c].grad_sinks = sinks_.data() + c * static_cast<std::size_t>(plan_.heads);
    }
  }
  /// Adds the shares in the chunks' order into grad_kv, grad_entries and grad_sinks.
  void gather(const SparseAttentionBackwardArgs& args) const;

  std::vector<GradChunk> chunks;

 private:
  const AttentionPlan& plan_;
  std::vector<double> sinks_;
};

}  // namespace orrery
