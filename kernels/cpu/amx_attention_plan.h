// Keys as the tile products want them: bf16 in pairs, made once a call for all blocks.
#pragma once

#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_backward_plan.h"
#include "kernels/cpu/attention_plan.h"

namespace orrery {

/// Keys [batch, count, dim] twice: for products over channels as panels of kPanel keys, [dim / 2][kPanel] pairs of
/// channels; for products over keys as [count / 2][dim] pairs of keys. Padded with zeros to whole panels.
struct TileKeys {
  std::int64_t count = 0, dim = 0;
  const std::uint32_t *panels = nullptr, *key_pairs = nullptr;

  std::int64_t padded() const { return KeySource::panel_count(count) * kPanel; }
  /// Words of each copy, a batch.
  std::int64_t words() const { return padded() / 2 * dim; }
  /// Columns from `key` on, within its panel.
  const std::uint32_t* panel(std::int64_t b, std::int64_t key) const {
    return panels + b * words() + key / kPanel * kPanel * (dim / 2) + key % kPanel;
  }
  /// Pairs from `key` (even) on.
  const std::uint32_t* pairs(std::int64_t b, std::int64_t key) const { return key_pairs + b * words() + key / 2 * dim; }
};

struct TileSources {
  TileKeys kv, entries;
};

inline std::int64_t tile_source_floats(const AttentionPlan& plan) {
  const TileKeys kv{plan.kv.count, plan.dim}, entries{plan.entries.count, plan.dim};
  return 2 * plan.batch * (kv.words() + entries.words());
}

/// From bf16 keys; `arena` has tile_source_floats() to give.
TileSources prepare_tile_sources(const AttentionPlan& plan, const TensorView& kv, const TensorView& entries,
                                 Arena& arena);

}  // namespace orrery
