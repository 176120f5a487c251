// Sparse attention, forward, by tensor cores (bf16, no picks): flash attention (Dao 2023) whose one KV head serves all
// rows of a block.
#include "kernels/api/registry.h"
#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

template <int kDim>
struct TensorForward {
  static constexpr int kBlocksAtOnce = kDim <= 64 ? 2 : 1;
  AttentionInputs<BFloat16> in;
  BFloat16* out;
  float* lse;
  std::int64_t batch, row_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto& plan = *reinterpret_cast<BlockPlan*>(block.memory);
    auto* shared = reinterpret_cast<BFloat16*>(block.memory + kPlanBytes);  // two tiles, in turn
    const std::int64_t rows = in.queries * in.heads, b = block.index % batch;
    // The last queries see most entries: they begin first.
    const std::int64_t first = (row_tiles - 1 - block.index / batch) * kBlockRows, mine = first + block.warp() * 16;
    const int lane = block.lane();
    make_plan(block, in, b, first, plan);
    std::uint32_t query[kDim / 16][4];
    load_left<kDim>(query, in.q + b * rows * in.dim, mine, rows, in.dim, lane);
    const float scale = in.shape.scale * kLog2E;
    float top[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0}, sums[kDim / 8][4] = {};

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
      const KeyTile tile = plan.tiles[i];
      const WarpSeen seen = warp_seen(plan, block.warp());
      const bool any = seen.any(tile);
      std::uint32_t weights[kTileKeys / 16][4];
      if (any) weigh(tile, seen, place(i), query, scale, lane, top, total, sums, weights);
      if (i + 1 < plan.tiles.count) fetch(i + 1);  // now that the scores' registers are free
      if (any) add_rows<kDim, kTileKeys / 16>(sums, weights, place(i), lane);
      if (i + 1 < plan.tiles.count) copy.store(block.thread, place(i + 1));
      block.sync();
    }
    finish(plan.base, plan.first + block.warp() * 16, in.queries * in.heads, lane, top, total, sums);
  }

  // The weights of a tile's keys; what was summed before is scaled to the new maximum.
  ORRERY_ON_DEVICE void weigh(const KeyTile& tile, const WarpSeen& seen, const BFloat16* keys,
                              const std::uint32_t (&query)[kDim / 16][4], float scale, int lane, float (&top)[2],
                              float (&total)[2], float (&sums)[kDim / 8][4],
                              std::uint32_t (&weights)[kTileKeys / 16][4]) const {
    constexpr int kTiles = kTileKeys / 8;
    float score[kTiles][4] = {};
    add_scores<kDim, kTiles>(score, query, keys, lane);
    ORRERY_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e) score[n][e] *= scale;
    }
    if (!seen.all(tile)) {
      const int column = lane % 4 * 2;
      const WarpSeen::Columns columns[2] = {seen.columns(tile, lane / 4), seen.columns(tile, lane / 4 + 8)};
      ORRERY_UNROLL
      for (int n = 0; n < kTiles; ++n) {
        ORRERY_UNROLL
        for (int e = 0; e < 4; ++e)
          if (!columns[e / 2].has(column + n * 8 + e % 2)) score[n][e] = -INFINITY;
      }
    }
    float next[2] = {top[0], top[1]};
    ORRERY_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e) next[e / 2] = fmaxf(next[e / 2], score[n][e]);
    }
    float keep[2], from[2];
    ORRERY_UNROLL
    for (int half = 0; half < 2; ++half) {
      next[half] = row_max(next[half]);
      from[half] = next[half] == -INFINITY ? 0.0f : next[half];  // nothing seen so far: weights of exp(−inf) = 0
      keep[half] = exp2f(top[half] - from[half]);
      top[half] = next[half];
      total[half] *= keep[half];
    }
    ORRERY_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e) {
        score[n][e] = exp2f(score[n][e] - from[e / 2]);
        total[e / 2] += score[n][e];
      }
    }
    ORRERY_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      ORRERY_UNROLL
      for (int e = 0; e < 4; ++e) sums[n][e] *= keep[e / 2];
    }
    as_left<kTiles>(weights, score);
  }

  ORRERY_ON_DEVICE void finish(std::int64_t base, std::int64_t mine, std::int64_t rows, int lane, const float (&top)[2],
                               const float (&total)[2], const float (&sums)[kDim / 8][4]) const {
    float factor[2];
    ORRERY_UNROLL
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = mine + lane / 4 + half * 8;
      const float sink = in.sinks && row < rows ? in.sinks[row % in.heads] * kLog2E : -INFINITY;
      const float most = fmaxf(top[half], sink), sum = row_sum(total[half]);
      const float keep = most == -INFINITY ? 0.0f : exp2f(top[half] - most);
      const float whole = most == -INFINITY ? 0.0f : sum * keep + exp2f(sink - most);
      factor[half] = whole > 0 ? keep / whole : 0.0f;
      if (lane % 4 == 0 && row < rows) lse[base + row] = whole > 0 ? most * kLn2 + logf(whole) : -INFINITY;
    }
    store_rows<kDim>(out + base * in.dim, sums, factor, mine, rows, in.dim, lane);
  }
};

void forward(const SparseAttentionArgs& args) {
  const AttentionInputs<BFloat16> in = inputs_of<BFloat16>(args);
  const std::int64_t batch = args.q.shape[0], row_tiles = (in.queries * in.heads + kBlockRows - 1) / kBlockRows;
  with_tensor_dim(in.dim, [&]<int kDim>() {
    launch_blocks(SparseAttentionArgs::kOp, batch * row_tiles, kMaxThreads,
                  kPlanBytes + 2 * kTileKeys * kLine<kDim> * std::int64_t{sizeof(BFloat16)},
                  TensorForward<kDim>{in, args.out.as<BFloat16>(), args.lse.as<float>(), batch, row_tiles});
  });
}

const char* refuse(const SparseAttentionArgs& args) {
  return tensor_cores_refuse(args, {&args.q, &args.kv, &args.entries, &args.out});
}

}  // namespace

void add_attention_tensor_kernels() { add_kernel<SparseAttentionArgs>(Device::cuda, "tensor_cores", forward, refuse); }

}  // namespace orrery::gpu
