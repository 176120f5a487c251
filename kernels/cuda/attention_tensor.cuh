// What the tensor-core passes of sparse attention share. A sequence's rows of q (query t, head h: row t · heads + h)
// are one matrix; a block takes kBlockRows of them, a warp 16, and goes through the window's keys, then the visible
// entries, in tiles of kTileKeys. Tiles start at multiples of kTileKeys of a key's position, so that a query's sums do
// not depend on how a sequence was cut into calls.
#pragma once

#include <initializer_list>
#include <limits>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/fragments.cuh"

namespace orrery::gpu {

inline constexpr int kTileKeys = 64, kBlockRows = 128;

/// nullptr where the tensor-core kernels can run.
template <class Args>
const char* tensor_cores_refuse(const Args& args, std::initializer_list<const TensorView*> views) {
  if (args.q.dtype != DType::bf16) return "the dtype is not bf16";
  if (args.indices) return "entries are picked";
  if (args.q.shape[3] > 128 || args.q.shape[3] % 8 != 0) return "the head dim is no multiple of 8 up to 128";
  constexpr std::int64_t kMost = std::numeric_limits<int>::max() - 2 * kBlockRows;
  if (args.q.shape[1] * args.q.shape[2] > kMost || args.kv.shape[1] > kMost) return "rows are more than an int counts";
  for (const TensorView* view : views)
    if (reinterpret_cast<std::uintptr_t>(view->data) % 16 != 0) return "a tensor does not start at 16 bytes";
  return nullptr;
}

/// Calls body.operator()<kDim>() with the least instantiated kDim ≥ dim.
template <class Body>
void with_tensor_dim(std::int64_t dim, const Body& body) {
  if (dim <= 32)
    body.template operator()<32>();
  else if (dim <= 64)
    body.template operator()<64>();
  else
    body.template operator()<128>();
}

/// Keys [first, last) and entries [0, visible) that a query sees.
struct Seen {
  int first = 0, last = 0, visible = 0;
};
ORRERY_ON_DEVICE Seen seen_by(const AttentionInputs<BFloat16>& in, std::int64_t t) {
  const std::int64_t first = in.first_key(t), last = in.last_key(t);
  return {static_cast<int>(first > in.keys ? in.keys : first), static_cast<int>(last < 0 ? 0 : last),
          static_cast<int>(in.entry_count > 0 ? in.visible(t) : 0)};
}

/// One tile: kTileKeys rows of `rows` from `first` on, of which those in [begin, end) are wanted.
struct KeyTile {
  const BFloat16* rows;
  int first, begin, end;
  bool entries;
};

/// The tiles that a run of queries of sequence b needs, given what the first and the last of them see.
struct KeyTiles {
  const BFloat16 *keys, *entries;
  int first_key, key_begin, key_end, first_entry, entry_end, key_tiles, count;

  ORRERY_ON_DEVICE KeyTile operator[](int i) const {
    if (i < key_tiles) return {keys, first_key + i * kTileKeys, key_begin, key_end, false};
    return {entries, first_entry + (i - key_tiles) * kTileKeys, 0, entry_end, true};
  }
};
ORRERY_ON_DEVICE KeyTiles key_tiles(const AttentionInputs<BFloat16>& in, std::int64_t b, Seen low, Seen high) {
  const int first_key = low.first - static_cast<int>((in.shape.kv_start + low.first) % kTileKeys);
  const int first_entry = -static_cast<int>(in.shape.entry_start % kTileKeys);
  const int tiles = high.last > low.first ? (high.last - first_key + kTileKeys - 1) / kTileKeys : 0;
  const int more = high.visible > 0 ? (high.visible - first_entry + kTileKeys - 1) / kTileKeys : 0;
  return {in.kv + b * in.keys * in.dim,
          in.entries + b * in.entry_count * in.dim,
          first_key,
          low.first,
          high.last,
          first_entry,
          high.visible,
          tiles,
          tiles + more};
}

/// What a block goes through, in its shared memory: registers are short.
struct BlockPlan {
  KeyTiles tiles;
  Seen rows[kBlockRows];     ///< nothing beyond the matrix
  std::int64_t first, base;  ///< row 0 in the sequence's matrix, and the matrix's own row 0
  int last;                  ///< the last row of the matrix among them
};
inline constexpr std::int64_t kPlanBytes = (sizeof(BlockPlan) + 15) / 16 * 16;

/// The plan of rows first … first + kBlockRows of sequence b, for all threads.
ORRERY_ON_DEVICE void make_plan(const Block& block, const AttentionInputs<BFloat16>& in, std::int64_t b,
                                std::int64_t first, BlockPlan& plan) {
  const std::int64_t rows = in.queries * in.heads, row = first + block.thread;
  if (block.thread < kBlockRows) plan.rows[block.thread] = row < rows ? seen_by(in, row / in.heads) : Seen{};
  block.sync();
  if (block.thread == 0) {
    plan.first = first;
    plan.base = b * rows;
    plan.last = static_cast<int>(rows - first < kBlockRows ? rows - first : kBlockRows) - 1;
    plan.tiles = key_tiles(in, b, plan.rows[0], plan.rows[plan.last]);
  }
  block.sync();
}

/// What a warp's 16 rows see of a tile.
struct WarpSeen {
  const Seen* rows;
  int last;  ///< the last row of the matrix among them; −1: none

  /// Whether any row sees a key of the tile.
  ORRERY_ON_DEVICE bool any(const KeyTile& tile) const {
    if (last < 0) return false;
    if (tile.entries) return tile.first < rows[last].visible;
    return tile.first < rows[last].last && tile.first + kTileKeys > rows[0].first;
  }
  /// Whether every row sees every key of the tile.
  ORRERY_ON_DEVICE bool all(const KeyTile& tile) const {
    if (tile.entries) return tile.first >= 0 && tile.first + kTileKeys <= rows[0].visible;
    return tile.first >= rows[last].first && tile.first + kTileKeys <= rows[0].last;
  }
  /// Columns [first, last) of the tile that a row sees.
  struct Columns {
    int first, last;
    ORRERY_ON_DEVICE bool has(int column) const { return column >= first && column < last; }
  };
  ORRERY_ON_DEVICE Columns columns(const KeyTile& tile, int row) const {
    const Seen& own = rows[row];
    return {(tile.entries ? 0 : own.first) - tile.first, (tile.entries ? own.visible : own.last) - tile.first};
  }
};
ORRERY_ON_DEVICE WarpSeen warp_seen(const BlockPlan& plan, int warp) {
  const int left = plan.last - warp * 16;
  return {plan.rows + warp * 16, left < 0 ? -1 : left < 15 ? left : 15};
}

}  // namespace orrery::gpu
