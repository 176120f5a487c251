// The fast kernels of kernels/api/indexer.h, and of entry_mass, on Highway. Products run over blocks of queries with
// all their heads (top K over all entries) or over one query's list with a head a lane (scores of given entries).
#include "kernels/api/indexer.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/api/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/indexer.cc"
#include <hwy/foreach_target.h>
// foreach_target.h compiles this file once a target, so it comes before highway.h
#include <hwy/highway.h>

#include "kernels/api/registry.h"
#include "kernels/cpu/arena.h"
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/indexer_plan.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

// Floats as integers of the same order; −0 counts as 0, NaN as −infinity.
HWY_INLINE hn::Vec<Ints> sortable(Vec v) {
  const Vec clean = hn::IfThenElse(hn::Eq(v, v), hn::Add(v, zero()), set(-std::numeric_limits<float>::infinity()));
  const auto bits = hn::BitCast(Ints(), clean);
  const auto negative = hn::ShiftRight<31>(bits);
  return hn::Xor(bits, hn::And(negative, hn::Set(Ints(), 0x7FFFFFFF)));
}

HWY_INLINE std::int64_t count_from(const std::int32_t* keys, std::int64_t padded, std::int64_t least) {
  const auto below = hn::Set(Ints(), static_cast<std::int32_t>(least - 1));  // no float maps to the lowest integer
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < padded; i += kLanes)
    count += static_cast<std::int64_t>(hn::CountTrue(Ints(), hn::Gt(hn::LoadU(Ints(), keys + i), below)));
  return count;
}

// The `want` largest of scores [count] (room to pad to whole vectors), ascending by position, to out; count > want.
// Bisects for the threshold: at most 32 counts, mostly fewer, since it ends where exactly `want` are above.
void pick_largest(const float* scores, std::int64_t count, std::int64_t want, std::int32_t* keys, std::int32_t* out) {
  const std::int64_t padded = round_up(count, kLanes);
  std::int32_t low = std::numeric_limits<std::int32_t>::max(), high = std::numeric_limits<std::int32_t>::min();
  for (std::int64_t i = 0; i < padded; i += kLanes) hn::StoreU(sortable(load(scores + i)), Ints(), keys + i);
  for (std::int64_t i = count; i < padded; ++i) keys[i] = std::numeric_limits<std::int32_t>::min();
  for (std::int64_t i = 0; i < count; ++i) {
    low = std::min(low, keys[i]);
    high = std::max(high, keys[i]);
  }
  std::int64_t least = low, above = std::int64_t{high} + 1;  // at least `want` from `least` on, fewer from `above` on
  std::int64_t ties = 0;
  while (above - least > 1) {
    const std::int64_t middle = least + (above - least) / 2, found = count_from(keys, padded, middle);
    (found >= want ? least : above) = middle;
    if (found == want) break;
  }
  // Either exactly `want` keys are ≥ least, or the keys equal to `least` are tied for the last places: the lowest ones
  // win.
  const std::int64_t upper = least >= high ? 0 : count_from(keys, padded, least + 1);
  ties = want - upper;
  std::int64_t n = 0;
  for (std::int64_t i = 0; i < count && n < want; ++i) {
    const bool tied = keys[i] == least;
    if (keys[i] > least || (tied && ties > 0)) out[n++] = static_cast<std::int32_t>(i);
    ties -= tied ? 1 : 0;
  }
}

// totals[q][e] = Σ_h w[q, h] ReLU(q_h · k_e) for the chunk of keys [c, stop) from scores [rows][kScoreStride].
void weigh_heads(const IndexPlan& plan, const float* scores, const float* w, std::int64_t count, std::int64_t width,
                 float* totals, std::int64_t stride) {
  for (std::int64_t q = 0; q < count; ++q)
    for (std::int64_t i = 0; i < width; i += kLanes) {
      Vec sum = zero();
      for (std::int64_t h = 0; h < plan.heads; ++h)
        sum = hn::MulAdd(set(w[q * plan.heads + h]),
                         hn::Max(load(scores + (q * plan.heads + h) * kScoreStride + i), zero()), sum);
      store(sum, totals + q * stride + i);
    }
}

template <class T>
void top_k_block_of(const IndexTopKArgs& args, const IndexPlan& plan, std::int64_t b, std::int64_t index,
                    Arena& arena) {
  const std::int64_t first = index * plan.block, count = std::min(plan.block, plan.queries - first);
  const std::int64_t entries = plan.visible(first + count - 1), want = plan.columns, most = plan.block * plan.heads;
  const std::int64_t stride = round_up(entries, kChunk), row0 = b * plan.queries + first;
  std::int32_t* out = args.indices.as<std::int32_t>() + row0 * want;
  arena.reset(most * (plan.padded + kScoreStride) + plan.block * stride + stride);
  float *q = arena.take(most * plan.padded), *scores = arena.take(most * kScoreStride),
        *totals = arena.take(plan.block * stride);
  std::int32_t* keys = arena.take<std::int32_t>(stride);
  if (entries > want) {
    for (std::int64_t r = 0; r < count * plan.heads; ++r)
      widen_row(args.q.as<const T>() + (row0 * plan.heads + r) * plan.dim, q + r * plan.padded, plan.dim, plan.padded,
                1.0f);
    for (std::int64_t c = 0; c < entries; c += kChunk) {
      const std::int64_t stop = std::min(entries, c + kChunk);
      scores_of(q, count * plan.heads, plan.keys.batch_panels(b, plan.padded), plan.padded, c, stop, scores);
      weigh_heads(plan, scores, args.w.as<const float>() + row0 * plan.heads, count, round_up(stop - c, 16), totals + c,
                  stride);
    }
  }
  for (std::int64_t t = 0; t < count; ++t, out += want) {
    const std::int64_t visible = plan.visible(first + t);
    if (visible > want) {
      pick_largest(totals + t * stride, visible, want, keys, out);
      continue;
    }
    for (std::int64_t k = 0; k < want; ++k) out[k] = k < visible ? static_cast<std::int32_t>(k) : -1;
  }
}

void top_k_block(const IndexTopKArgs& args, const IndexPlan& plan, std::int64_t b, std::int64_t index, Arena& arena) {
  args.q.dtype == DType::bf16 ? top_k_block_of<BFloat16>(args, plan, b, index, arena)
                              : top_k_block_of<float>(args, plan, b, index, arena);
}

// One query against its list: products [kept][padded_heads] with a head a lane.
struct ListScratch {
  float *q, *turned, *products, *head_values;  // the last: [padded_heads]
  std::int32_t *kept, *column;                 // the valid entries and their columns

  ListScratch(const IndexPlan& plan, Arena& arena) {
    const std::int64_t sizes[] = {plan.heads * plan.padded, plan.padded * plan.padded_heads,
                                  plan.columns * plan.padded_heads};
    arena.reset(sizes[0] + sizes[1] + sizes[2] + plan.padded_heads + 2 * plan.columns);
    q = arena.take(sizes[0]);
    turned = arena.take(sizes[1]);
    products = arena.take(sizes[2]);
    head_values = arena.take(plan.padded_heads);
    kept = arena.take<std::int32_t>(plan.columns);
    column = arena.take<std::int32_t>(plan.columns);
    std::fill(turned, turned + sizes[1], 0.0f);
  }
};

template <class T>
std::int64_t list_products(const IndexPlan& plan, const TensorView& q, std::int64_t row, const ListScratch& scratch) {
  std::int64_t count = 0;
  for (std::int64_t c = 0; c < plan.columns; ++c) {
    const std::int32_t entry = plan.entry(row, c);
    if (entry < 0) continue;
    scratch.kept[count] = entry;
    scratch.column[count++] = static_cast<std::int32_t>(c);
  }
  for (std::int64_t h = 0; h < plan.heads; ++h) {
    float* x = scratch.q + h * plan.padded;
    widen_row(q.as<const T>() + (row * plan.heads + h) * plan.dim, x, plan.dim, plan.padded, plan.scale);
    for (std::int64_t i = 0; i < plan.padded; ++i) scratch.turned[i * plan.padded_heads + h] = x[i];
  }
  const float* keys = plan.keys.batch_rows(row / plan.queries, plan.padded);
  gemm<false>(count, round_up(plan.heads, kLanes), plan.padded, picked(keys, plan.padded, scratch.kept), 1,
              rows<const float>(scratch.turned, plan.padded_heads), rows(scratch.products, plan.padded_heads));
  return count;
}

// A row's values of the heads, padded to whole vectors with `rest`.
HWY_INLINE void load_heads(const IndexPlan& plan, const TensorView& values, std::int64_t row, float rest,
                           const ListScratch& scratch) {
  for (std::int64_t h = 0; h < plan.padded_heads; ++h)
    scratch.head_values[h] = h < plan.heads ? values.as<const float>()[row * plan.heads + h] : rest;
}

template <class T>
void score_rows_of(const IndexScoresArgs& args, const IndexPlan& plan, std::int64_t begin, std::int64_t end,
                   Arena& arena) {
  const ListScratch scratch(plan, arena);
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t count = list_products<T>(plan, args.q, row, scratch);
    float* out = args.scores.as<float>() + row * plan.columns;
    for (std::int64_t c = 0; c < plan.columns; ++c) out[c] = -std::numeric_limits<float>::infinity();
    load_heads(plan, args.w, row, 0.0f, scratch);
    for (std::int64_t k = 0; k < count; ++k) {
      Vec sum = zero();
      for (std::int64_t h = 0; h < plan.heads; h += kLanes)
        sum = hn::MulAdd(load(scratch.head_values + h),
                         hn::Max(load(scratch.products + k * plan.padded_heads + h), zero()), sum);
      out[scratch.column[k]] = sum_of(sum);
    }
  }
}

template <class T>
void mass_rows_of(const EntryMassArgs& args, const IndexPlan& plan, std::int64_t begin, std::int64_t end,
                  Arena& arena) {
  const ListScratch scratch(plan, arena);
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t count = list_products<T>(plan, args.q, row, scratch);
    float* out = args.mass.as<float>() + row * plan.columns;
    clear(out, plan.columns);
    load_heads(plan, args.lse, row, std::numeric_limits<float>::infinity(), scratch);
    for (std::int64_t k = 0; k < count; ++k) {
      Vec sum = zero();
      for (std::int64_t h = 0; h < plan.heads; h += kLanes) {
        const Vec lse = load(scratch.head_values + h);
        const auto real = hn::Lt(lse, set(std::numeric_limits<float>::infinity()));
        sum = hn::Add(sum,
                      hn::IfThenElseZero(real, exp(hn::Sub(load(scratch.products + k * plan.padded_heads + h), lse))));
      }
      out[scratch.column[k]] = sum_of(sum);
    }
  }
}

// products become gradients of the products, grad_w comes on the way.
void grad_products(const IndexScoresBackwardArgs& args, const IndexPlan& plan, std::int64_t row, std::int64_t count,
                   const ListScratch& scratch) {
  const float* grad_scores = args.grad_scores.as<const float>() + row * plan.columns;
  load_heads(plan, args.w, row, 0.0f, scratch);
  for (std::int64_t h = 0; h < plan.heads; h += kLanes) {
    const Vec w = load(scratch.head_values + h);
    Vec grad_w = zero();
    for (std::int64_t k = 0; k < count; ++k) {
      float* at = scratch.products + k * plan.padded_heads + h;
      const Vec g = set(grad_scores[scratch.column[k]]), product = load(at);
      grad_w = hn::MulAdd(g, hn::Max(product, zero()), grad_w);
      store(hn::IfThenElseZero(hn::Gt(product, zero()), hn::Mul(g, w)), at);
    }
    float lanes[HWY_MAX_BYTES / sizeof(float)];
    store(grad_w, lanes);
    for (std::int64_t i = 0; i < std::min(kLanes, plan.heads - h); ++i)
      args.grad_w.as<float>()[row * plan.heads + h + i] = lanes[i];
  }
}

template <class T>
void score_chunk_backward_of(const IndexScoresBackwardArgs& args, const IndexPlan& plan, const IndexShare& share,
                             Arena& arena) {
  static thread_local Arena more;
  const ListScratch scratch(plan, arena);
  more.reset(plan.heads * plan.padded);
  float* grad_q = more.take(plan.heads * plan.padded);
  const float* keys = plan.keys.batch_rows(share.b, plan.padded);
  clear(share.grad_k, share.count * plan.padded);
  for (std::int64_t row = share.b * plan.queries + share.begin; row < share.b * plan.queries + share.end; ++row) {
    const std::int64_t count = list_products<T>(plan, args.q, row, scratch);
    grad_products(args, plan, row, count, scratch);
    gemm<false>(plan.heads, plan.padded, count, rows<const float>(scratch.products, 1), plan.padded_heads,
                picked(keys, plan.padded, scratch.kept), rows(grad_q, plan.padded));
    gemm<true>(count, plan.padded, plan.heads, rows<const float>(scratch.products, plan.padded_heads), 1,
               rows<const float>(scratch.q, plan.padded), picked(share.grad_k, plan.padded, scratch.kept));
    for (std::int64_t h = 0; h < plan.heads; ++h)
      narrow_row(grad_q + h * plan.padded, args.grad_q.as<T>() + (row * plan.heads + h) * plan.dim, plan.dim, 1.0f);
  }
}

void score_rows(const IndexScoresArgs& args, const IndexPlan& plan, std::int64_t begin, std::int64_t end,
                Arena& arena) {
  args.q.dtype == DType::bf16 ? score_rows_of<BFloat16>(args, plan, begin, end, arena)
                              : score_rows_of<float>(args, plan, begin, end, arena);
}
void mass_rows(const EntryMassArgs& args, const IndexPlan& plan, std::int64_t begin, std::int64_t end, Arena& arena) {
  args.q.dtype == DType::bf16 ? mass_rows_of<BFloat16>(args, plan, begin, end, arena)
                              : mass_rows_of<float>(args, plan, begin, end, arena);
}
void score_chunk_backward(const IndexScoresBackwardArgs& args, const IndexPlan& plan, const IndexShare& share,
                          Arena& arena) {
  args.q.dtype == DType::bf16 ? score_chunk_backward_of<BFloat16>(args, plan, share, arena)
                              : score_chunk_backward_of<float>(args, plan, share, arena);
}

// Keys [begin, end) of batch b: the chunks' shares in order.
void add_index_shares(const IndexPlan& plan, const IndexShare* shares, std::int64_t count, std::int64_t key,
                      const TensorView& out, std::int64_t row) {
  float sum[kPanel];
  for (std::int64_t i = 0; i < plan.dim; i += kPanel) {
    const std::int64_t n = std::min(kPanel, plan.padded - i), width = std::min(kPanel, plan.dim - i);
    clear(sum, n);
    for (std::int64_t c = 0; c < count; ++c)
      if (key < shares[c].count)
        for (std::int64_t j = 0; j < n; j += kLanes)
          store(hn::Add(load(sum + j), load(shares[c].grad_k + key * plan.padded + i + j)), sum + j);
    if (out.dtype == DType::bf16)
      narrow_row(sum, out.as<BFloat16>() + row * plan.dim + i, width, 1.0f);
    else
      narrow_row(sum, out.as<float>() + row * plan.dim + i, width, 1.0f);
  }
}

// Softmax statistics of a row: log Σ exp(scores) and Σ mass over the columns that have an entry.
struct KlSums {
  float lse, mass;
};
KlSums kl_sums(const float* scores, const float* mass, std::int64_t count) {
  const Vec none = set(-std::numeric_limits<float>::infinity());
  Vec top = none;
  for_vectors(count, [&](std::int64_t i, auto get, auto) HWY_ATTR {
    const auto inside = hn::Lt(hn::Iota(Floats(), static_cast<float>(i)), set(static_cast<float>(count)));
    top = hn::Max(top, hn::IfThenElse(inside, get(scores), none));
  });
  const float high = max_of(top);
  Vec total = zero(), sum = zero();
  for_vectors(count, [&](std::int64_t i, auto get, auto) HWY_ATTR {
    const auto inside = hn::Lt(hn::Iota(Floats(), static_cast<float>(i)), set(static_cast<float>(count)));
    const Vec s = get(scores);
    const auto valid = hn::And(inside, hn::Gt(s, none));
    total = hn::Add(total, hn::IfThenElseZero(valid, exp(hn::Sub(s, set(high)))));
    sum = hn::Add(sum, hn::IfThenElseZero(valid, get(mass)));
  });
  return {high + std::log(sum_of(total)), sum_of(sum)};
}

void kl_rows(const IndexKlArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t count = args.scores.shape[1];
  for (std::int64_t row = begin; row < end; ++row) {
    const float *scores = args.scores.as<const float>() + row * count,
                *mass = args.mass.as<const float>() + row * count;
    const KlSums sums = kl_sums(scores, mass, count);
    float loss = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (scores[i] == -std::numeric_limits<float>::infinity() || mass[i] <= 0 || sums.mass <= 0) continue;
      const float p = mass[i] / sums.mass;
      loss += p * (std::log(p) - (scores[i] - sums.lse));
    }
    args.loss.as<float>()[row] = loss;
  }
}

void kl_backward_rows(const IndexKlBackwardArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t count = args.scores.shape[1];
  for (std::int64_t row = begin; row < end; ++row) {
    const float *scores = args.scores.as<const float>() + row * count,
                *mass = args.mass.as<const float>() + row * count;
    float* out = args.grad_scores.as<float>() + row * count;
    const KlSums sums = kl_sums(scores, mass, count);
    const float g = sums.mass > 0 ? args.grad_loss.as<const float>()[row] : 0.0f;
    const Vec share = set(sums.mass > 0 ? 1 / sums.mass : 0.0f);
    for_vectors(count, [&](std::int64_t, auto get, auto put) HWY_ATTR {
      const Vec s = get(scores), p = exp(hn::Sub(s, set(sums.lse)));
      const auto valid = hn::And(hn::Gt(s, set(-std::numeric_limits<float>::infinity())), hn::Ne(set(g), zero()));
      put(hn::IfThenElseZero(valid, hn::Mul(set(g), hn::NegMulAdd(get(mass), share, p))), out);
    });
  }
}

}  // namespace
}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {

HWY_EXPORT(top_k_block);
HWY_EXPORT(score_rows);
HWY_EXPORT(mass_rows);
HWY_EXPORT(score_chunk_backward);
HWY_EXPORT(add_index_shares);
HWY_EXPORT(kl_rows);
HWY_EXPORT(kl_backward_rows);

Arena& shared_arena() {
  static thread_local Arena arena;
  return arena;
}

void index_top_k(const IndexTopKArgs& args) {
  IndexPlan plan(args.q, args.k, {}, args.indices.shape[2], args.rate, args.query_start);
  shared_arena().reset(source_floats(plan.keys, plan.batch, plan.padded, true));
  prepare_source(plan.keys, args.k, plan.padded, true, shared_arena());
  const std::int64_t blocks = (plan.queries + plan.block - 1) / plan.block;
  parallel_tasks(plan.batch * blocks, [&](std::int64_t task) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(top_k_block)(args, plan, task / blocks, task % blocks, arena);
  });
}

// Runs body(begin, end, arena) over the query rows in pieces of 32, handed out as threads get free: later rows see
// more.
template <class Body>
void over_rows(const IndexPlan& plan, const Body& body) {
  const std::int64_t count = plan.batch * plan.queries;
  parallel_tasks((count + 31) / 32, [&](std::int64_t task) {
    static thread_local Arena arena;
    body(task * 32, std::min(count, (task + 1) * 32), arena);
  });
}

void index_scores(const IndexScoresArgs& args) {
  IndexPlan plan(args.q, args.k, args.indices, args.scores.shape[2], args.rate, args.query_start);
  shared_arena().reset(source_floats(plan.keys, plan.batch, plan.padded, false));
  prepare_source(plan.keys, args.k, plan.padded, false, shared_arena());
  over_rows(plan, [&](std::int64_t begin, std::int64_t end, Arena& arena) {
    HWY_DYNAMIC_DISPATCH(score_rows)(args, plan, begin, end, arena);
  });
}

void entry_mass(const EntryMassArgs& args) {
  IndexPlan plan(args.q, args.entries, args.indices, args.mass.shape[2], args.shape.rate, args.shape.query_start);
  plan.entry_start = args.shape.entry_start;
  plan.scale = args.shape.scale;
  shared_arena().reset(source_floats(plan.keys, plan.batch, plan.padded, false));
  prepare_source(plan.keys, args.entries, plan.padded, false, shared_arena());
  over_rows(plan, [&](std::int64_t begin, std::int64_t end, Arena& arena) {
    HWY_DYNAMIC_DISPATCH(mass_rows)(args, plan, begin, end, arena);
  });
}

void index_scores_backward(const IndexScoresBackwardArgs& args) {
  IndexPlan plan(args.q, args.k, args.indices, args.grad_scores.shape[2], args.rate, args.query_start);
  const std::int64_t length =
      std::max<std::int64_t>(128, (plan.queries + 15) / 16);  // at most 16 chunks: the shape's choice
  const std::int64_t chunks = (plan.queries + length - 1) / length;
  std::vector<IndexShare> shares;
  std::int64_t floats = source_floats(plan.keys, plan.batch, plan.padded, false), total = 0;
  for (std::int64_t b = 0; b < plan.batch; ++b)
    for (std::int64_t begin = 0; begin < plan.queries; begin += length) {
      const std::int64_t end = std::min(plan.queries, begin + length);
      shares.push_back({b, begin, end, plan.visible(end - 1)});
      total += shares.back().count * plan.padded;
    }
  shared_arena().reset(floats + total);
  prepare_source(plan.keys, args.k, plan.padded, false, shared_arena());
  float* next = shared_arena().take(total);
  for (IndexShare& share : shares) {
    share.grad_k = next;
    next += share.count * plan.padded;
  }
  parallel_tasks(static_cast<std::int64_t>(shares.size()), [&](std::int64_t c) {
    static thread_local Arena arena;
    HWY_DYNAMIC_DISPATCH(score_chunk_backward)(args, plan, shares[static_cast<std::size_t>(c)], arena);
  });
  const std::int64_t keys = plan.keys.count;
  parallel_blocks(plan.batch * keys, 128, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) HWY_DYNAMIC_DISPATCH(add_index_shares)
    (plan, shares.data() + row / keys * chunks, chunks, row % keys, args.grad_k, row);
  });
}

void index_kl(const IndexKlArgs& args) {
  parallel_blocks(args.scores.shape[0], 64, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(kl_rows)(args, begin, end);
  });
}

void index_kl_backward(const IndexKlBackwardArgs& args) {
  parallel_blocks(args.scores.shape[0], 64, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(kl_backward_rows)(args, begin, end);
  });
}

}  // namespace

void add_indexer_kernels() {
  add_kernel<IndexTopKArgs>(Device::cpu, "simd", index_top_k);
  add_kernel<IndexScoresArgs>(Device::cpu, "simd", index_scores);
  add_kernel<IndexScoresBackwardArgs>(Device::cpu, "simd", index_scores_backward);
  add_kernel<EntryMassArgs>(Device::cpu, "simd", entry_mass);
  add_kernel<IndexKlArgs>(Device::cpu, "simd", index_kl);
  add_kernel<IndexKlBackwardArgs>(Device::cpu, "simd", index_kl_backward);
}

}  // namespace orrery
#endif  // HWY_ONCE
