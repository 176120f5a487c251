// What the passes of sparse attention share: which rows a query sees, and in which order.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/api/attention.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

/// Sizes and pointers of one call; T is the storage type.
template <class T>
struct AttentionInputs {
  const T *q, *kv, *entries;
  const std::int32_t* indices;
  const float* sinks;
  std::int64_t queries, heads, dim, keys, entry_count, picks;
  SparseAttentionShape shape;

  /// Entries that query row t sees: the first so many.
  ORRERY_ON_DEVICE std::int64_t visible(std::int64_t t) const {
    const std::int64_t count = (shape.query_start + t + 1) / shape.rate - shape.entry_start;
    return count < 0 ? 0 : count > entry_count ? entry_count : count;
  }
  /// Rows [first, last) of kv that query row t sees.
  ORRERY_ON_DEVICE std::int64_t first_key(std::int64_t t) const {
    const std::int64_t first = shape.query_start + t - shape.window + 1 - shape.kv_start;
    return first < 0 ? 0 : first;
  }
  ORRERY_ON_DEVICE std::int64_t last_key(std::int64_t t) const {
    const std::int64_t last = shape.query_start + t + 1 - shape.kv_start;
    return last > keys ? keys : last;
  }
};

template <class T, class Args>
AttentionInputs<T> inputs_of(const Args& args) {
  return {args.q.template as<const T>(),
          args.kv.template as<const T>(),
          args.entries.template as<const T>(),
          args.indices.template as<const std::int32_t>(),
          args.sinks.template as<const float>(),
          args.q.shape[1],
          args.q.shape[2],
          args.q.shape[3],
          args.kv.shape[1],
          args.entries ? args.entries.shape[1] : 0,
          args.indices ? args.indices.shape[2] : 0,
          args.shape};
}

/// The rows of one query in order: its window's keys, then entries; `get` gives nullptr for a pick that is none.
template <class T>
struct QueryRows {
  const T *keys, *entries;
  const std::int32_t* picks;
  std::int64_t key_count, count, visible, dim;

  ORRERY_ON_DEVICE QueryRows(const AttentionInputs<T>& in, std::int64_t b, std::int64_t t) {
    const std::int64_t first = in.first_key(t), last = in.last_key(t);
    dim = in.dim;
    keys = in.kv + (b * in.keys + first) * dim;
    entries = in.entries + b * in.entry_count * dim;
    picks = in.indices ? in.indices + (b * in.queries + t) * in.picks : nullptr;
    key_count = last > first ? last - first : 0;
    visible = in.entry_count > 0 ? in.visible(t) : 0;
    count = key_count + (picks ? in.picks : visible);
  }
  ORRERY_ON_DEVICE const T* get(std::int64_t i) const {
    if (i < key_count) return keys + i * dim;
    std::int64_t entry = i - key_count;
    if (picks) {
      entry = picks[entry];
      if (entry < 0 || entry >= visible) return nullptr;
    }
    return entries + entry * dim;
  }
};

/// The gradient of the sinks; a block a head.
struct SinkPass {
  const float *sinks, *lse, *delta;
  float* grad_sinks;
  std::int64_t rows, heads;
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    double sum = 0;
    for (std::int64_t row = block.thread; row < rows; row += block.threads) {
      const std::int64_t at = row * heads + block.index;
      sum -= static_cast<double>(expf(sinks[block.index] - lse[at]) * delta[at]);
    }
    sum = block_sum(block, sum, block.memory);
    if (block.thread == 0) grad_sinks[block.index] = static_cast<float>(sum);
  }
};

/// Σ a[i] · b[i].
ORRERY_ON_DEVICE float dot_of(const float* a, const float* b, std::int64_t dim) {
  float sum = 0;
  for (std::int64_t i = 0; i < dim; ++i) sum += a[i] * b[i];
  return sum;
}

/// Heads that a block of queries works on, a warp each.
inline constexpr int kHeadsAtOnce = 4;
inline constexpr int kMostDim = 512;

/// Calls body.operator()<kParts>() with the least instantiated kParts ≥ dim / 32.
template <class Body>
void with_parts(std::int64_t dim, const Body& body) {
  if (dim <= 32)
    body.template operator()<1>();
  else if (dim <= 64)
    body.template operator()<2>();
  else if (dim <= 128)
    body.template operator()<4>();
  else
    body.template operator()<16>();
}

}  // namespace orrery::gpu
