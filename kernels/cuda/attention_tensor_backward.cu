// Sparse attention, backward, by tensor cores (bf16, no picks), without atomics: a pass over queries for grad_q and
// each row's Σ out·grad_out, then one over keys and one over entries, which gather from the rows that see them. Few
// entries are seen by very many rows: their rows are cut into parts, whose sums are added in order.
#include "kernels/api/registry.h"
#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

// Blocks and warps as in the forward pass.
template <int kDim>
struct TensorQueryPass {
  static constexpr int kBlocksAtOnce = kDim <= 64 ? 2 : 1;
  AttentionInputs<BFloat16> in;
  const BFloat16 *out, *grad_out;
  const float* lse;
  BFloat16* grad_q;
  float* delta;  ///< [B, S, H]
  std::int64_t batch, row_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto& plan = *reinterpret_cast<BlockPlan*>(block.memory);
    auto* shared = reinterpret_cast<BFloat16*>(block.memory + kPlanBytes);  // two tiles, in turn
    const std::int64_t rows = in.queries * in.heads, b = block.index % batch, base = b * rows;
    const std::int64_t first = (row_tiles - 1 - block.index / batch) * kBlockRows, mine = first + block.warp() * 16;
    const int lane = block.lane();
    make_plan(block, in, b, first, plan);
    std::uint32_t query[kDim / 16][4], grad[kDim / 16][4];
    load_left<kDim>(query, in.q + base * in.dim, mine, rows, in.dim, lane);
    load_left<kDim>(grad, grad_out + base * in.dim, mine, rows, in.dim, lane);
    float log_sum[2], own[2];
    sum_own(base, mine, rows, lane, grad, log_sum, own);
    float sums[kDim / 8][4] = {};

    TileCopy<kDim, kTileKeys, kMaxThreads> copy;
    const auto fetch = [&](int i) {
      const KeyTile tile = plan.tiles[i];
      copy.fetch(block.thread, tile.rows, tile.first, tile.begin, tile.end, static_cast<int>(in.dim));
    };
    const auto place = [&](int i) { return shared + i % 2 * kTileKeys * kLine<kDim>; };
    if (plan.tiles.count > 0) {
      fetch(0);
      copy.store(block.thread, place(0));
    }
    block.sync();
    for (int i = 0; i < plan.tiles.count; ++i) {
      if (i + 1 < plan.tiles.count) fetch(i + 1);
      const KeyTile tile = plan.tiles[i];
      const WarpSeen seen = warp_seen(plan, block.warp());
      if (seen.any(tile))
        for (int key = 0; key < kTileKeys; key += 16)
          add_keys(tile, key, seen, place(i), query, grad, log_sum, own, lane, sums);
      if (i + 1 < plan.tiles.count) copy.store(block.thread, place(i + 1));
      block.sync();
    }
    const float one[2] = {1, 1};
    store_rows<kDim>(grad_q + plan.base * in.dim, sums, one, plan.first + block.warp() * 16, in.queries * in.heads,
                     in.dim, lane);
  }

  // Of the lane's two rows: lse (in powers of 2) and Σ out·grad_out.
  ORRERY_ON_DEVICE void sum_own(std::int64_t base, std::int64_t mine, std::int64_t rows, int lane,
                                const std::uint32_t (&grad)[kDim / 16][4], float (&log_sum)[2], float (&own)[2]) const {
    std::uint32_t result[kDim / 16][4];
    load_left<kDim>(result, out + base * in.dim, mine, rows, in.dim, lane);
    own[0] = own[1] = 0;
    ORRERY_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      ORRERY_UNROLL
      for (int i = 0; i < 4; ++i)
        own[i % 2] += low_of(result[k][i]) * low_of(grad[k][i]) + high_of(result[k][i]) * high_of(grad[k][i]);
    }
    ORRERY_UNROLL
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = mine + lane / 4 + half * 8;
      own[half] = row_sum(own[half]);
      log_sum[half] = row < rows ? lse[base + row] * kLog2E : 0.0f;
      if (lane % 4 == 0 && row < rows) delta[base + row] = own[half];
    }
  }
  static ORRERY_ON_DEVICE float low_of(std::uint32_t pair) {
    return to_float(BFloat16{static_cast<std::uint16_t>(pair & 0xFFFFu)});
  }
  static ORRERY_ON_DEVICE float high_of(std::uint32_t pair) {
    return to_float(BFloat16{static_cast<std::uint16_t>(pair >> 16)});
  }

  // 16 keys of a tile, from `key` on.
  ORRERY_ON_DEVICE void add_keys(const KeyTile& tile, int key, const WarpSeen& seen, const BFloat16* keys,
                                 const std::uint32_t (&query)[kDim / 16][4], const std::uint32_t (&grad)[kDim / 16][4],
                                 const float (&log_sum)[2], const float (&own)[2], int lane,
                                 float (&sums)[kDim / 8][4]) const {
    const float scale = in.shape.scale * kLog2E;
    const BFloat16* here = keys + key * kLine<kDim>;
    float score[2][4] = {}, slope[2][4] = {};
    add_scores_of_two<kDim>(score, query, slope, grad, here, lane);
    ORRERY_UNROLL
    for (int n = 0; n < 2; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e)
        slope[n][e] = exp2f(score[n][e] * scale - log_sum[e / 2]) * (slope[n][e] - own[e / 2]) * in.shape.scale;
    }
    if (!seen.all(tile)) {
      const int column = key + lane % 4 * 2;
      const WarpSeen::Columns columns[2] = {seen.columns(tile, lane / 4), seen.columns(tile, lane / 4 + 8)};
      ORRERY_UNROLL
      for (int n = 0; n < 2; ++n) {
        ORRERY_UNROLL
        for (int e = 0; e < 4; ++e)
          if (!columns[e / 2].has(column + n * 8 + e % 2)) slope[n][e] = 0;
      }
    }
    std::uint32_t left[1][4];
    as_left<2>(left, slope);
    add_rows<kDim, 1>(sums, left, here, lane);
  }
};

inline constexpr int kRowsAtOnce = 32, kMostParts = 128;

/// Which rows of a sequence see a tile of keys or of entries.
struct RowRange {
  std::int64_t begin, end;
};
ORRERY_ON_DEVICE RowRange rows_that_see(const AttentionInputs<BFloat16>& in, bool entries, std::int64_t first) {
  const SparseAttentionShape& shape = in.shape;
  std::int64_t begin, end = in.queries;
  if (entries) {
    begin = (first + shape.entry_start + 1) * shape.rate - 1 - shape.query_start;
  } else {
    const std::int64_t last = (first + kTileKeys < in.keys ? first + kTileKeys : in.keys) - 1;
    begin = shape.kv_start + first - shape.query_start;
    end = shape.kv_start + last - shape.query_start + shape.window;
  }
  begin = begin < 0 ? 0 : begin > in.queries ? in.queries : begin;
  end = end > in.queries ? in.queries : end < begin ? begin : end;
  return {begin * in.heads, end * in.heads};
}

// A block kTileKeys keys; 32 rows of q and grad_out at a time through shared memory. A warp takes 16 of the keys and 16
// of the rows; in the end the two sums of a key are added.
template <int kDim>
struct TensorKeyPass {
  static constexpr int kBlocksAtOnce = kDim <= 64 ? 2 : 1;
  AttentionInputs<BFloat16> in;
  const BFloat16* grad_out;
  const float *lse, *delta;
  BFloat16* grad;  ///< of kv
  float* partial;  ///< of entries: [parts, B, E, D]
  std::int64_t batch, key_tiles, part_rows;
  bool of_entries;

  struct Row {
    float log_sum, own;  ///< lse in powers of 2, Σ out·grad_out
    int first, last;     ///< the keys (or entries) it sees; none beyond the range: first > any
  };
  struct Bases {
    std::int64_t queries, keys;  ///< row 0 of the sequence in q, and in what is written
  };
  static constexpr std::int64_t kTile = kRowsAtOnce * kLine<kDim>;
  static constexpr std::int64_t kBytes = 4 * kTile * std::int64_t{sizeof(BFloat16)} +
                                         2 * kRowsAtOnce * std::int64_t{sizeof(Row)} + std::int64_t{sizeof(Bases)};

  ORRERY_ON_DEVICE Row row_at(std::int64_t base, std::int64_t row, std::int64_t end) const {
    if (row >= end) return {0, 0, INT32_MAX, 0};
    const Seen seen = seen_by(in, row / in.heads);
    return {lse[base + row] * kLog2E, delta[base + row], of_entries ? 0 : seen.first,
            of_entries ? seen.visible : seen.last};
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto* shared = reinterpret_cast<BFloat16*>(block.memory);  // [2][q, grad_out][32, line]
    auto* infos = reinterpret_cast<Row*>(shared + 4 * kTile);  // [2][32]
    auto& bases = *reinterpret_cast<Bases*>(infos + 2 * kRowsAtOnce);
    const std::int64_t first = block.index % key_tiles * kTileKeys, b = block.index / key_tiles % batch,
                       part = block.index / key_tiles / batch, count = of_entries ? in.entry_count : in.keys;
    RowRange range = rows_that_see(in, of_entries, first);
    if (of_entries) {
      const std::int64_t part_end = (part + 1) * part_rows;
      if (part < range.begin / part_rows) return;  // a part that nobody reads
      range.begin = range.begin > part * part_rows ? range.begin : part * part_rows;
      range.end = range.end < part_end ? range.end : part_end;
    }
    const int mine = static_cast<int>(first) + block.warp() % 4 * 16;
    if (block.thread == 0) bases = {b * in.queries * in.heads, (part * batch + b) * count};
    block.sync();
    const int lane = block.lane(), thread = block.thread;
    std::uint32_t key[kDim / 16][4];
    load_left<kDim>(key, (of_entries ? in.entries : in.kv) + b * count * in.dim, mine, count, in.dim, lane);
    float sums[kDim / 8][4] = {};

    TileCopy<kDim, kRowsAtOnce, kMaxThreads> query_copy, grad_copy;
    Row info{};
    const int end = static_cast<int>(range.end), dim = static_cast<int>(in.dim);
    const auto fetch = [&](int row) {
      query_copy.fetch(thread, in.q + bases.queries * in.dim, row, row, end, dim);
      grad_copy.fetch(thread, grad_out + bases.queries * in.dim, row, row, end, dim);
      if (thread < kRowsAtOnce) info = row_at(bases.queries, row + thread, end);
    };
    const auto store = [&](int turn) {
      query_copy.store(thread, shared + turn * 2 * kTile);
      grad_copy.store(thread, shared + turn * 2 * kTile + kTile);
      if (thread < kRowsAtOnce) infos[turn * kRowsAtOnce + thread] = info;
    };
    int row = static_cast<int>(range.begin);
    if (row < end) {
      fetch(row);
      store(0);
    }
    block.sync();
    for (int turn = 0; row < end; row += kRowsAtOnce, turn ^= 1) {
      const bool more = row + kRowsAtOnce < end;
      if (more) fetch(row + kRowsAtOnce);
      const int last_row = (end - row < kRowsAtOnce ? end - row : kRowsAtOnce) - 1;
      const Row* rows = infos + turn * kRowsAtOnce;
      if (mine + 16 > rows[0].first && mine < rows[last_row].last)
        add_queries(shared + turn * 2 * kTile, rows, block.warp() / 4 * 16, mine, key, lane, sums);
      if (more) store(turn ^ 1);
      block.sync();
    }
    if (!add_halves(block, sums)) return;
    if (of_entries)
      store_partial(partial + bases.keys * in.dim, mine, count, lane, sums);
    else {
      const float one[2] = {1, 1};
      store_rows<kDim>(grad + bases.keys * in.dim, sums, one, mine, count, in.dim, lane);
    }
  }

  // 16 rows of queries, from `from` of the tile on, for the warp's 16 keys from `mine` on.
  ORRERY_ON_DEVICE void add_queries(const BFloat16* query, const Row* rows, int from, int mine,
                                    const std::uint32_t (&key)[kDim / 16][4], int lane,
                                    float (&sums)[kDim / 8][4]) const {
    const float scale = in.shape.scale * kLog2E;
    const bool all = mine >= rows[kRowsAtOnce - 1].first && mine + 16 <= rows[0].last;
    float weight[2][4] = {}, slope[2][4] = {};
    add_scores<kDim, 2>(weight, key, query + from * kLine<kDim>, lane);
    add_scores<kDim, 2>(slope, key, query + kTile + from * kLine<kDim>, lane);
    ORRERY_UNROLL
    for (int n = 0; n < 2; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e) {
        const Row row = rows[from + n * 8 + lane % 4 * 2 + e % 2];
        const int own = mine + lane / 4 + e / 2 * 8;
        const bool sees = all || (own >= row.first && own < row.last);
        weight[n][e] = sees ? exp2f(weight[n][e] * scale - row.log_sum) : 0.0f;
        slope[n][e] = sees ? weight[n][e] * (slope[n][e] - row.own) * in.shape.scale : 0.0f;
      }
    }
    std::uint32_t left[1][4];
    as_left<2>(left, slope);
    add_rows<kDim, 1>(sums, left, query + from * kLine<kDim>, lane);
    as_left<2>(left, weight);
    add_rows<kDim, 1>(sums, left, query + kTile + from * kLine<kDim>, lane);
  }

  // Adds the sums of warps 4 to 7 to those of warps 0 to 3, which alone then hold them: true for these.
  ORRERY_ON_DEVICE bool add_halves(const Block& block, float (&sums)[kDim / 8][4]) const {
    static_assert(kDim * kTileKeys * std::int64_t{sizeof(float)} <= 4 * kTile * std::int64_t{sizeof(BFloat16)});
    constexpr int kHalf = kMaxThreads / 2;
    float* place = reinterpret_cast<float*>(block.memory) + block.thread % kHalf;
    ORRERY_UNROLL
    for (int i = 0; i < kDim / 2; ++i)
      if (block.thread >= kHalf) place[i * kHalf] = sums[i / 4][i % 4];
    block.sync();
    ORRERY_UNROLL
    for (int i = 0; i < kDim / 2; ++i)
      if (block.thread < kHalf) sums[i / 4][i % 4] += place[i * kHalf];
    return block.thread < kHalf;
  }

  ORRERY_ON_DEVICE void store_partial(float* to, std::int64_t mine, std::int64_t count, int lane,
                                      const float (&sums)[kDim / 8][4]) const {
    ORRERY_UNROLL
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = mine + lane / 4 + half * 8;
      if (row >= count) continue;
      ORRERY_UNROLL
      for (int n = 0; n < kDim / 8; ++n) {
        if (n * 8 >= in.dim) continue;
        ORRERY_UNROLL
        for (int e = 0; e < 2; ++e) to[row * in.dim + n * 8 + lane % 4 * 2 + e] = sums[n][half * 2 + e];
      }
    }
  }
};

// The parts' sums of an element of grad_entries, from the first part whose rows see its tile.
struct EntrySum {
  AttentionInputs<BFloat16> in;
  const float* partial;
  BFloat16* grad;
  std::int64_t parts, part_rows, stride;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t entry = i / in.dim % in.entry_count;
    const std::int64_t begin = rows_that_see(in, true, entry / kTileKeys * kTileKeys).begin;
    float sum = 0;
    for (std::int64_t part = begin / part_rows; part < parts; ++part) sum += partial[part * stride + i];
    grad[i] = from_float<BFloat16>(sum);
  }
};

template <int kDim>
void run_backward(const SparseAttentionBackwardArgs& args) {
  const char* op = SparseAttentionBackwardArgs::kOp;
  constexpr std::int64_t kFloat = sizeof(float);
  const AttentionInputs<BFloat16> in = inputs_of<BFloat16>(args);
  const std::int64_t batch = args.q.shape[0], rows = in.queries * in.heads,
                     row_tiles = (rows + kBlockRows - 1) / kBlockRows;
  auto* delta = static_cast<float*>(scratch(kScratchRows, batch * rows * kFloat));
  const auto* lse = args.lse.as<const float>();
  const auto* grad_out = args.grad_out.as<const BFloat16>();
  launch_blocks(op, batch * row_tiles, kMaxThreads,
                kPlanBytes + 2 * kTileKeys * kLine<kDim> * std::int64_t{sizeof(BFloat16)},
                TensorQueryPass<kDim>{in, args.out.as<const BFloat16>(), grad_out, lse, args.grad_q.as<BFloat16>(),
                                      delta, batch, row_tiles});
  TensorKeyPass<kDim> pass{in, grad_out, lse, delta, args.grad_kv.as<BFloat16>(), nullptr, batch, 0, 0, false};
  pass.key_tiles = (in.keys + kTileKeys - 1) / kTileKeys;
  launch_blocks(op, batch * pass.key_tiles, kMaxThreads, pass.kBytes, pass);
  if (in.entry_count > 0) {
    // At least 2048 rows a part, so that adding the parts up stays small beside them.
    pass.part_rows = std::max<std::int64_t>(2048, (rows + kMostParts - 1) / kMostParts);
    const std::int64_t parts = std::max<std::int64_t>(1, (rows + pass.part_rows - 1) / pass.part_rows),
                       elements = batch * in.entry_count * in.dim;
    pass.partial = static_cast<float*>(scratch(kScratchPartial, parts * elements * kFloat));
    pass.key_tiles = (in.entry_count + kTileKeys - 1) / kTileKeys;
    pass.of_entries = true;
    launch_blocks(op, parts * batch * pass.key_tiles, kMaxThreads, pass.kBytes, pass);
    launch_each(op, elements,
                EntrySum{in, pass.partial, args.grad_entries.as<BFloat16>(), parts, pass.part_rows, elements});
  }
  if (args.grad_sinks)
    launch_blocks(op, in.heads, kMaxThreads, kReduceBytes,
                  SinkPass{in.sinks, lse, delta, args.grad_sinks.as<float>(), batch * in.queries, in.heads});
}

void backward(const SparseAttentionBackwardArgs& args) {
  with_tensor_dim(args.q.shape[3], [&]<int kDim>() { run_backward<kDim>(args); });
}

const char* refuse(const SparseAttentionBackwardArgs& args) {
  return tensor_cores_refuse(args, {&args.q, &args.kv, &args.entries, &args.out, &args.grad_out, &args.grad_q,
                                    &args.grad_kv, &args.grad_entries});
}

}  // namespace

void add_attention_tensor_backward_kernels() {
  add_kernel<SparseAttentionBackwardArgs>(Device::cuda, "tensor_cores", backward, refuse);
}

}  // namespace orrery::gpu
