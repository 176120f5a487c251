// The attention of kernels/api/attention.h in bf16 on AMX tiles: the blocks, chunks and running softmax of
// sparse_attention.cc and sparse_attention_backward.cc with products of bf16 and sums, exponentials and statistics in
// f32. For bf16 tensors without per-query lists of entries. Results depend on the shape alone, not on the threads.
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/amx_attention.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/amx.h"
#include "kernels/cpu/amx_attention_plan.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Rows of two tiles: what depth and width are rounded to.
constexpr std::int64_t kUnit = 32;

// A block of queries; rows r = (query − first) · heads + head, up to `rows` (a multiple of kUnit) with zeros.
struct TileBlock {
  std::int64_t b, first, count, rows, dim;
  BFloat16 *q, *weights;              // [rows][dim], [rows][kChunk]
  float *out, *scores, *top, *total;  // [rows][dim], [rows][kScoreStride], [rows]
};

// scores[r][c] = x[r] · key_(begin + c) for c < width (a multiple of kUnit), begin a multiple of kUnit.
void tile_scores(const BFloat16* x, const TileBlock& block, const TileKeys& keys, std::int64_t begin,
                 std::int64_t width, float* scores) {
  for (std::int64_t c = 0; c < width; c += kUnit)
    amx::product(block.rows, kUnit, block.dim, x, block.dim, keys.panel(block.b, begin + c), kPanel, scores + c,
                 kScoreStride, false);
}

// Row r's scores in columns [lo, hi) become weights against the running maximum; others of [0, width) become 0.
void soften_row(const TileBlock& block, std::int64_t r, std::int64_t lo, std::int64_t hi, std::int64_t width,
                float scale) {
  float* scores = block.scores + r * kScoreStride;
  BFloat16* weights = block.weights + r * kChunk;
  std::fill_n(weights, width, BFloat16{0});
  if (lo >= hi) return;
  soften_columns(scores, lo, hi, scale, weights,
                 {block.top + r, block.total + r, block.out + r * block.dim, block.dim});
}

void attend(const AttentionPlan& plan, const TileBlock& block, const TileKeys& keys, bool of_entries) {
  const std::int64_t begin = plan.range(of_entries, block.first).begin / kUnit * kUnit;
  const std::int64_t end = plan.range(of_entries, block.first + block.count - 1).end;
  for (std::int64_t c = begin; c < end; c += kChunk) {
    const std::int64_t stop = std::min(end, c + kChunk), width = round_up(stop - c, kUnit);
    tile_scores(block.q, block, keys, c, width, block.scores);
    for (std::int64_t r = 0; r < block.rows; ++r) {
      const KeyRange range =
          r < block.count * plan.heads ? plan.range(of_entries, block.first + r / plan.heads) : KeyRange{0, 0};
      soften_row(block, r, std::max(range.begin - c, std::int64_t{0}), std::min(range.end, stop) - c, width,
                 plan.shape.scale);
    }
    amx::product(block.rows, block.dim, width, block.weights, kChunk, keys.pairs(block.b, c), block.dim, block.out,
                 block.dim, true);
  }
}

void load_rows(const TensorView& from, std::int64_t first_row, std::int64_t count, const TileBlock& block,
               BFloat16* to) {
  std::copy_n(from.as<const BFloat16>() + first_row * block.dim, count * block.dim, to);
  std::fill(to + count * block.dim, to + block.rows * block.dim, BFloat16{0});
}

void tile_forward_block(const SparseAttentionArgs& args, const AttentionPlan& plan, const TileSources& sources,
                        std::int64_t b, std::int64_t index, Arena& arena) {
  const std::int64_t rows = round_up(plan.rows_per_block(), kUnit), dim = plan.dim;
  arena.reset(rows * (dim / 2 + kChunk / 2 + dim + kScoreStride + 2));
  TileBlock block{b,
                  index * plan.block,
                  std::min(plan.block, plan.queries - index * plan.block),
                  rows,
                  dim,
                  arena.take<BFloat16>(rows * dim),
                  arena.take<BFloat16>(rows * kChunk),
                  arena.take(rows * dim),
                  arena.take(rows * kScoreStride),
                  arena.take(rows),
                  arena.take(rows)};
  const std::int64_t count = block.count * plan.heads, first_row = (b * plan.queries + block.first) * plan.heads;
  const amx::Tiles tiles;
  load_rows(args.q, first_row, count, block, block.q);
  clear(block.out, rows * dim);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float sink =
        args.sinks ? args.sinks.as<const float>()[r % plan.heads] : -std::numeric_limits<float>::infinity();
    block.top[r] = sink;
    block.total[r] = sink > -std::numeric_limits<float>::infinity() ? 1.0f : 0.0f;
  }
  attend(plan, block, sources.kv, false);
  if (plan.entries.count > 0) attend(plan, block, sources.entries, true);
  for (std::int64_t r = 0; r < count; ++r) {
    args.lse.as<float>()[first_row + r] = finish_row({block.top + r, block.total + r, block.out + r * dim, dim},
                                                     args.out.as<BFloat16>() + (first_row + r) * dim, dim);
  }
}

// The backward pass's block: p and scale · grad_s as rows and as pairs of rows; q and grad_out as columns too.
struct TileGradBlock {
  TileBlock base;                                 // q, weights (grad_s rows), out (grad_q), scores
  BFloat16 *grad_out, *q_columns, *grad_columns;  // [rows][dim], [dim][rows] twice
  float *grad_scores, *lse, *delta;               // [rows][kScoreStride], [rows] twice
  std::uint32_t *grad_pairs, *weight_pairs;       // [rows / 2][kChunk]
};

// Row r: p and grad_s in place, then rounded.
void grad_row(const TileGradBlock& block, std::int64_t r, std::int64_t lo, std::int64_t hi, std::int64_t width,
              float scale) {
  float *scores = block.base.scores + r * kScoreStride, *grads = block.grad_scores + r * kScoreStride;
  if (lo >= hi) {
    clear(scores, width);
    return clear(grads, width);
  }
  const Vec lse = set(block.lse[r]), delta = set(block.delta[r]), factor = set(scale);
  for_columns(lo, hi, [&](std::int64_t i, auto mask) HWY_ATTR {
    const Vec p = hn::IfThenElseZero(mask, exp(hn::Sub(hn::Mul(load(scores + i), factor), lse)));
    store(hn::Mul(hn::Mul(p, factor), hn::Sub(load(grads + i), delta)), grads + i);
    store(p, scores + i);
  });
  const std::int64_t before = lo / kLanes * kLanes, after = round_up(hi, kLanes);
  clear(scores, before);
  clear(grads, before);
  clear(scores + after, width - after);
  clear(grads + after, width - after);
}

// Two f32 rows to words of bf16 pairs; `rows_out` gets the rows too, if given.
void pair_rows(const float* even, const float* odd, std::int64_t width, std::uint32_t* pairs, BFloat16* even_out,
               BFloat16* odd_out) {
  const Words w;
  for (std::int64_t i = 0; i < width; i += kLanes) {
    BFloat16 low[HWY_MAX_BYTES / sizeof(float)], high[HWY_MAX_BYTES / sizeof(float)];
    store(load(even + i), low);
    store(load(odd + i), high);
    const auto low_bits = hn::PromoteTo(w, hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(low)));
    const auto high_bits = hn::PromoteTo(w, hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(high)));
    hn::StoreU(hn::Or(low_bits, hn::ShiftLeft<16>(high_bits)), w, pairs + i);
    if (even_out) {
      std::copy_n(low, kLanes, even_out + i);
      std::copy_n(high, kLanes, odd_out + i);
    }
  }
}

// `share`: [dim][span] gradients of the keys from `base` (a multiple of kUnit) on.
void grad_keys(const AttentionPlan& plan, const TileGradBlock& block, const TileKeys& keys, bool of_entries,
               float* share, std::int64_t base, std::int64_t span) {
  const TileBlock& rows = block.base;
  const std::int64_t begin = plan.range(of_entries, rows.first).begin / kUnit * kUnit;
  const std::int64_t end = plan.range(of_entries, rows.first + rows.count - 1).end, count = rows.count * plan.heads;
  for (std::int64_t c = begin; c < end; c += kChunk) {
    const std::int64_t stop = std::min(end, c + kChunk), width = round_up(stop - c, kUnit);
    tile_scores(rows.q, rows, keys, c, width, rows.scores);
    tile_scores(block.grad_out, rows, keys, c, width, block.grad_scores);
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      const KeyRange range = r < count ? plan.range(of_entries, rows.first + r / plan.heads) : KeyRange{0, 0};
      grad_row(block, r, std::max(range.begin - c, std::int64_t{0}), std::min(range.end, stop) - c, width,
               plan.shape.scale);
    }
    for (std::int64_t r = 0; r < rows.rows; r += 2) {
      const std::int64_t at = r * kScoreStride, pair = r / 2 * kChunk;
      pair_rows(block.grad_scores + at, block.grad_scores + at + kScoreStride, width, block.grad_pairs + pair,
                rows.weights + r * kChunk, rows.weights + (r + 1) * kChunk);
      pair_rows(rows.scores + at, rows.scores + at + kScoreStride, width, block.weight_pairs + pair, nullptr, nullptr);
    }
    amx::product(rows.rows, rows.dim, width, rows.weights, kChunk, keys.pairs(rows.b, c), rows.dim, rows.out, rows.dim,
                 true);
    float* out = share + c - base;
    amx::product(rows.dim, width, rows.rows, block.q_columns, rows.rows, block.grad_pairs, kChunk, out, span, true);
    amx::product(rows.dim, width, rows.rows, block.grad_columns, rows.rows, block.weight_pairs, kChunk, out, span,
                 true);
  }
}

void turn(const BFloat16* from, std::int64_t rows, std::int64_t columns, BFloat16* to) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
}

void load_grad_block(const SparseAttentionBackwardArgs& args, const AttentionPlan& plan, const TileGradBlock& block,
                     double* grad_sinks) {
  const TileBlock& rows = block.base;
  const std::int64_t count = rows.count * plan.heads, dim = rows.dim,
                     first_row = (rows.b * plan.queries + rows.first) * plan.heads;
  load_rows(args.q, first_row, count, rows, rows.q);
  load_rows(args.grad_out, first_row, count, rows, block.grad_out);
  turn(rows.q, rows.rows, dim, block.q_columns);
  turn(block.grad_out, rows.rows, dim, block.grad_columns);
  for (std::int64_t r = 0; r < count; ++r) {
    const BFloat16* out = args.out.as<const BFloat16>() + (first_row + r) * dim;
    Vec sum = zero();
    for (std::int64_t i = 0; i < dim; i += kLanes)
      sum = hn::MulAdd(load(block.grad_out + r * dim + i), load(out + i), sum);
    block.delta[r] = sum_of(sum);
    block.lse[r] = args.lse.as<const float>()[first_row + r];
    if (args.sinks && block.lse[r] > -std::numeric_limits<float>::infinity())
      grad_sinks[r % plan.heads] -=
          std::exp(double{args.sinks.as<const float>()[r % plan.heads]} - double{block.lse[r]}) *
          double{block.delta[r]};
  }
  clear(rows.out, rows.rows * dim);
}

// [dim][span] from key `base` on → rows of the keys [range.begin, range.end).
void turn_share(const float* share, std::int64_t base, std::int64_t span, KeyRange range, std::int64_t dim,
                std::int64_t padded, float* out) {
  for (std::int64_t key = range.begin; key < range.end; ++key, out += padded)
    for (std::int64_t i = 0; i < dim; ++i) out[i] = share[i * span + key - base];
}

void tile_backward_chunk(const SparseAttentionBackwardArgs& args, const AttentionPlan& plan, const TileSources& sources,
                         const GradChunk& chunk, Arena& arena) {
  const std::int64_t rows = round_up(plan.rows_per_block(), kUnit), dim = plan.dim;
  const std::int64_t kv_base = chunk.kv.begin / kUnit * kUnit, kv_span = round_up(chunk.kv.end - kv_base, kUnit),
                     entry_span = round_up(chunk.entries.end, kUnit);
  arena.reset(rows * (4 * (dim / 2) + kChunk / 2 + dim + 2 * kScoreStride + 4 + kChunk) + dim * (kv_span + entry_span));
  TileGradBlock block{};
  block.base = {chunk.b,
                0,
                0,
                rows,
                dim,
                arena.take<BFloat16>(rows * dim),
                arena.take<BFloat16>(rows * kChunk),
                arena.take(rows * dim),
                arena.take(rows * kScoreStride),
                nullptr,
                nullptr};
  block.grad_out = arena.take<BFloat16>(rows * dim);
  block.q_columns = arena.take<BFloat16>(rows * dim);
  block.grad_columns = arena.take<BFloat16>(rows * dim);
  block.grad_scores = arena.take(rows * kScoreStride);
  block.lse = arena.take(rows);
  block.delta = arena.take(rows);
  block.grad_pairs = arena.take<std::uint32_t>(rows / 2 * kChunk);
  block.weight_pairs = arena.take<std::uint32_t>(rows / 2 * kChunk);
  float *kv_share = arena.take(dim * kv_span), *entry_share = arena.take(dim * entry_span);
  clear(kv_share, dim * kv_span);
  clear(entry_share, dim * entry_span);
  for (std::int64_t h = 0; h < plan.heads; ++h) chunk.grad_sinks[h] = 0;
  const amx::Tiles tiles;
  TileBlock& now = block.base;
  for (now.first = chunk.begin; now.first < chunk.end; now.first += plan.block) {
    now.count = std::min(plan.block, chunk.end - now.first);
    load_grad_block(args, plan, block, chunk.grad_sinks);
    grad_keys(plan, block, sources.kv, false, kv_share, kv_base, kv_span);
    if (plan.entries.count > 0) grad_keys(plan, block, sources.entries, true, entry_share, 0, entry_span);
    const std::int64_t first_row = (now.b * plan.queries + now.first) * plan.heads;
    for (std::int64_t r = 0; r < now.count * plan.heads; ++r)
      narrow_row(now.out + r * dim, args.grad_q.as<BFloat16>() + (first_row + r) * dim, dim, 1.0f);
  }
  turn_share(kv_share, kv_base, kv_span, chunk.kv, dim, plan.padded, chunk.grad_kv);
  turn_share(entry_share, 0, entry_span, chunk.entries, dim, plan.padded, chunk.grad_entries);
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(tile_forward_block);
HWY_EXPORT(tile_backward_chunk);

template <class Args>
const char* supports(const Args& args) {
  if (!amx::ready()) return "the processor has no AMX tiles for bf16";
  if (args.q.dtype != DType::bf16) return "not bf16";
  if (args.q.shape[3] % 32 != 0) return "the heads' size is no multiple of 32";
  if (args.q.shape[2] > 96) return "more than 96 heads";
  if (args.indices) return "a list of entries a query";
  return nullptr;
}

void amx_attention(const SparseAttentionArgs& args) {
  const AttentionPlan plan(args);
  static thread_local Arena memory;
  memory.reset(tile_source_floats(plan));
  const TileSources sources = prepare_tile_sources(plan, args.kv, args.entries, memory);
  const std::int64_t blocks = (plan.queries + plan.block - 1) / plan.block;
  parallel_tasks(plan.batch * blocks, [&](std::int64_t task) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(tile_forward_block)(args, plan, sources, task / blocks, task % blocks, arena);
  });
}

void amx_attention_backward(const SparseAttentionBackwardArgs& args) {
  const AttentionPlan plan(args);
  static thread_local Arena memory;
  GradShares shares(plan);
  memory.reset(tile_source_floats(plan) + shares.floats());
  const TileSources sources = prepare_tile_sources(plan, args.kv, args.entries, memory);
  shares.place(memory);
  parallel_tasks(static_cast<std::int64_t>(shares.chunks.size()), [&](std::int64_t c) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(tile_backward_chunk)
    (args, plan, sources, shares.chunks[static_cast<std::size_t>(c)], arena);
  });
  shares.gather(args);
}

}  // namespace

void add_amx_attention_kernels() {
  add_kernel<SparseAttentionArgs>(Device::cpu, "amx", amx_attention, supports<SparseAttentionArgs>);
  add_kernel<SparseAttentionBackwardArgs>(Device::cpu, "amx", amx_attention_backward,
                                          supports<SparseAttentionBackwardArgs>);
}

}  // namespace orrery
#endif  // HWY_ONCE
