// How the fast attention kernels see their arguments: sizes, f32 copies of the keys, and what a query may look at.
// Keys are copied twice: as rows [count][padded] for products over keys, and as panels [count / 64][padded][64], each
// the transpose of 64 rows, for products over channels. Rows and panels are padded with zeros.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api/attention.h"

namespace orrery {

inline constexpr std::int64_t kPanel = 64;                 // keys a panel
inline constexpr std::int64_t kChunk = 4 * kPanel;         // keys whose scores are held at once
inline constexpr std::int64_t kScoreStride = kChunk + 16;  // odd in cache lines: columns of scores do not share a set

struct KeySource {
  const float* rows = nullptr;
  const float* panels = nullptr;
  std::int64_t count = 0;  // a batch

  static std::int64_t panel_count(std::int64_t count) { return (count + kPanel - 1) / kPanel; }
  const float* batch_rows(std::int64_t b, std::int64_t padded) const { return rows + b * count * padded; }
  const float* batch_panels(std::int64_t b, std::int64_t padded) const {
    return panels + b * panel_count(count) * kPanel * padded;
  }
};

struct KeyRange {
  std::int64_t begin, end;
};

struct AttentionPlan {
  std::int64_t batch, queries, heads, dim, picks;
  std::int64_t padded;        // dim rounded up to 16
  std::int64_t padded_heads;  // heads rounded up to 16
  std::int64_t block;         // queries a block
  SparseAttentionShape shape;
  const std::int32_t* indices;
  KeySource kv, entries;

  template <class Args>
  explicit AttentionPlan(const Args& args)
      : batch(args.q.shape[0]),
        queries(args.q.shape[1]),
        heads(args.q.shape[2]),
        dim(args.q.shape[3]),
        picks(args.indices ? args.indices.shape[2] : 0),
        padded((dim + 15) / 16 * 16),
        padded_heads((heads + 15) / 16 * 16),
        block(std::max<std::int64_t>(1, 96 / std::max<std::int64_t>(1, heads))),
        shape(args.shape),
        indices(args.indices.template as<const std::int32_t>()) {
    kv.count = args.kv.shape[1];
    entries.count = args.entries ? args.entries.shape[1] : 0;
  }

  std::int64_t visible(std::int64_t t) const {
    return std::clamp<std::int64_t>((shape.query_start + t + 1) / shape.rate - shape.entry_start, 0, entries.count);
  }
  KeyRange window(std::int64_t t) const {
    const std::int64_t last = shape.query_start + t - shape.kv_start;  // row of the query's own position
    const std::int64_t end = std::clamp<std::int64_t>(last + 1, 0, kv.count);
    return {std::clamp<std::int64_t>(last + 1 - shape.window, 0, end), end};
  }
  KeyRange range(bool of_entries, std::int64_t t) const { return of_entries ? KeyRange{0, visible(t)} : window(t); }
  bool dense_entries() const { return entries.count > 0 && !indices; }
  std::int64_t rows_per_block() const { return block * heads; }
};

class Arena;

/// Copies keys [B, count, dim] to f32 rows and, where wanted, panels; source.count is set. And the floats that it
/// takes.
void prepare_source(KeySource& source, const TensorView& keys, std::int64_t padded, bool with_panels, Arena& arena);
std::int64_t source_floats(const KeySource& source, std::int64_t batch, std::int64_t padded, bool panels);

/// Floats that prepare_keys takes from an arena.
std::int64_t key_floats(const AttentionPlan& plan);
/// Fills plan.kv and plan.entries with f32 copies of the keys.
void prepare_keys(AttentionPlan& plan, const TensorView& kv, const TensorView& entries, Arena& arena);

}  // namespace orrery
