// The lightning indexer (kernels/api/indexer.h): scores, the choice of the best entries, and the gradients.
#include <algorithm>
#include <cmath>

#include "kernels/api/indexer.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

template <class T>
struct IndexInputs {
  const T *q, *k;
  const float* w;
  const std::int32_t* indices;
  std::int64_t queries, heads, dim, entries, columns, rate, query_start;

  ORRERY_ON_DEVICE std::int64_t visible(std::int64_t t) const {
    const std::int64_t count = (query_start + t + 1) / rate;
    return count > entries ? entries : count;
  }
  /// The entry at `column` of a row, or −1 where there is none or it is not visible.
  ORRERY_ON_DEVICE std::int64_t entry_at(std::int64_t row, std::int64_t column) const {
    const std::int64_t entry = indices ? indices[row * columns + column] : column;
    return entry >= 0 && entry < visible(row % queries) ? entry : -1;
  }
  ORRERY_ON_DEVICE const T* key(std::int64_t row, std::int64_t entry) const {
    return k + (row / queries * entries + entry) * dim;
  }
  ORRERY_ON_DEVICE float dot(std::int64_t q_row, const T* key_row) const {
    float sum = 0;
    for (std::int64_t i = 0; i < dim; ++i) sum += to_float(q[q_row * dim + i]) * to_float(key_row[i]);
    return sum;
  }
  ORRERY_ON_DEVICE float score(std::int64_t row, std::int64_t entry) const {
    const T* key_row = key(row, entry);
    float sum = 0;
    for (std::int64_t h = 0; h < heads; ++h) sum += w[row * heads + h] * fmaxf(0.0f, dot(row * heads + h, key_row));
    return sum;
  }
};

template <class T, class Args>
IndexInputs<T> inputs_of(const Args& args, const TensorView& indices, std::int64_t columns) {
  return {args.q.template as<const T>(),
          args.k.template as<const T>(),
          args.w.template as<const float>(),
          indices.as<const std::int32_t>(),
          args.q.shape[1],
          args.q.shape[2],
          args.q.shape[3],
          args.k.shape[1],
          columns,
          args.rate,
          args.query_start};
}

template <class T>
struct Scores {
  IndexInputs<T> in;
  float* scores;
  std::int64_t first_row;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t row = first_row + i / in.columns, entry = in.entry_at(row, i % in.columns);
    scores[i] = entry < 0 ? -INFINITY : in.score(row, entry);
  }
};

// f32 as whole numbers in the same order; NaN as −∞.
ORRERY_ON_DEVICE std::uint32_t order_of(float value) {
  if (value != value) value = -INFINITY;
  if (value == 0) value = 0;  // −0 equals 0
  const std::uint32_t bits = float_bits(value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// A block a query: the K-th best score by halving its value's range bit by bit, then the entries in order.
struct Choose {
  const float* scores;  ///< [rows of this call, entries]
  std::int32_t* indices;
  std::int64_t first_row, queries, entries, count, rate, query_start;

  ORRERY_ON_DEVICE std::int32_t at_least(const Block& block, const float* row, std::int64_t n,
                                         std::uint32_t bound) const {
    std::int32_t found = 0;
    for (std::int64_t e = block.thread; e < n; e += block.threads) found += order_of(row[e]) >= bound ? 1 : 0;
    return block_sum(block, found, block.memory);
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t row = first_row + block.index, t = row % queries;
    const float* mine = scores + block.index * entries;
    std::int32_t* out = indices + row * count;
    std::int64_t n = (query_start + t + 1) / rate;
    n = n > entries ? entries : n;
    std::uint32_t bound = 0;
    std::int64_t equal_wanted = n;  // of those that equal the bound
    if (n > count) {
      for (int bit = 31; bit >= 0; --bit) {
        const std::uint32_t candidate = bound | std::uint32_t{1} << bit;
        if (at_least(block, mine, n, candidate) >= count) bound = candidate;
      }
      const std::int64_t above = bound == 0xFFFFFFFFu ? 0 : at_least(block, mine, n, bound + 1);
      equal_wanted = count - above;
    }
    write(block, mine, n, bound, equal_wanted, out);
  }

  // Entries above the bound, and the first `equal_wanted` that equal it, in ascending order; then −1.
  ORRERY_ON_DEVICE void write(const Block& block, const float* row, std::int64_t n, std::uint32_t bound,
                              std::int64_t equal_wanted, std::int32_t* out) const {
    auto* above = reinterpret_cast<std::int32_t*>(block.memory + kReduceBytes);  // [warps]
    std::int32_t* equal = above + kMaxThreads / kWarp;                           // [warps]
    const bool all = n <= count;
    std::int64_t written = 0, equal_seen = 0;
    for (std::int64_t first = 0; first < n; first += block.threads) {
      const std::int64_t e = first + block.thread;
      const std::uint32_t order = e < n ? order_of(row[e]) : 0;
      const bool is_above = e < n && !all && order > bound, is_equal = e < n && (all || order == bound);
      const unsigned above_bits = ballot(is_above), equal_bits = ballot(is_equal);
      if (block.lane() == 0) {
        above[block.warp()] = ones(above_bits);
        equal[block.warp()] = ones(equal_bits);
      }
      block.sync();
      const unsigned earlier = (1u << block.lane()) - 1u;
      std::int64_t above_before = ones(above_bits & earlier), equal_before = ones(equal_bits & earlier);
      std::int64_t above_all = 0, equal_all = 0;
      for (int w = 0; w < block.warps(); ++w) {
        if (w < block.warp()) {
          above_before += above[w];
          equal_before += equal[w];
        }
        above_all += above[w];
        equal_all += equal[w];
      }
      // Of the equal ones before this entry only the first `equal_wanted` have been written.
      const auto taken = [&](std::int64_t seen) { return seen < equal_wanted ? seen : equal_wanted; };
      const std::int64_t place = written + above_before + taken(equal_seen + equal_before) - taken(equal_seen);
      if (is_above || (is_equal && equal_seen + equal_before < equal_wanted)) out[place] = static_cast<std::int32_t>(e);
      written += above_all + taken(equal_seen + equal_all) - taken(equal_seen);
      equal_seen += equal_all;
      block.sync();
    }
    for (std::int64_t i = written + block.thread; i < count; i += block.threads) out[i] = -1;
  }
  static ORRERY_ON_DEVICE std::int32_t ones(unsigned bits) {
    std::int32_t count = 0;
    for (; bits != 0; bits &= bits - 1) ++count;
    return count;
  }
};

void top_k(const IndexTopKArgs& args) {
  const char* op = IndexTopKArgs::kOp;
  constexpr std::int64_t kMostScores = std::int64_t{1} << 27;
  const std::int64_t rows = args.q.shape[0] * args.q.shape[1], entries = args.k.shape[1];
  const std::int64_t at_once = std::max<std::int64_t>(1, kMostScores / std::max<std::int64_t>(1, entries));
  with_float_type(args.q.dtype, [&]<class T>() {
    const IndexInputs<T> in = inputs_of<T>(args, {}, entries);
    for (std::int64_t first = 0; first < rows; first += at_once) {
      const std::int64_t some = std::min(at_once, rows - first);
      auto* scores = static_cast<float*>(scratch(kScratchPartial, some * entries * std::int64_t{sizeof(float)}));
      launch_each(op, some * entries, Scores<T>{in, scores, first});
      launch_blocks(op, some, kThreads, kReduceBytes + 2 * (kMaxThreads / kWarp) * std::int64_t{sizeof(std::int32_t)},
                    Choose{scores, args.indices.as<std::int32_t>(), first, in.queries, entries, args.indices.shape[2],
                           args.rate, args.query_start});
    }
  });
}

void scores(const IndexScoresArgs& args) {
  with_float_type(args.q.dtype, [&]<class T>() {
    launch_each(IndexScoresArgs::kOp, args.scores.numel(),
                Scores<T>{inputs_of<T>(args, args.indices, args.scores.shape[2]), args.scores.as<float>(), 0});
  });
}

// A warp a query and head: grad_q and grad_w; `memory` holds the sums of grad_q.
template <class T>
struct QueryGrad {
  IndexInputs<T> in;
  const float* grad_scores;
  T* grad_q;
  float* grad_w;
  ORRERY_ON_DEVICE void operator()(std::int64_t q_row, int lane, unsigned char* memory) const {
    auto* sums = reinterpret_cast<float*>(memory);
    const std::int64_t row = q_row / in.heads;
    for (std::int64_t i = lane; i < in.dim; i += kWarp) sums[i] = 0;
    float weight_sum = 0;
    for (std::int64_t c = 0; c < in.columns; ++c) {
      const std::int64_t entry = in.entry_at(row, c);
      if (entry < 0) continue;  // the whole warp alike
      const T* key = in.key(row, entry);
      float dot = 0;
      for (std::int64_t i = lane; i < in.dim; i += kWarp) dot += to_float(in.q[q_row * in.dim + i]) * to_float(key[i]);
      dot = warp_sum(dot);
      if (!(dot > 0)) continue;
      const float g = grad_scores[row * in.columns + c];
      weight_sum += g * dot;
      for (std::int64_t i = lane; i < in.dim; i += kWarp) sums[i] += g * in.w[q_row] * to_float(key[i]);
    }
    for (std::int64_t i = lane; i < in.dim; i += kWarp) grad_q[q_row * in.dim + i] = from_float<T>(sums[i]);
    if (lane == 0) grad_w[q_row] = weight_sum;
  }
};

// grad_scores by entry: [B, S, E], 0 where there is none. A thread a query.
template <class T>
struct Spread {
  IndexInputs<T> in;
  const float* grad_scores;
  float* dense;
  ORRERY_ON_DEVICE void operator()(std::int64_t row) const {
    for (std::int64_t e = 0; e < in.entries; ++e) dense[row * in.entries + e] = 0;
    for (std::int64_t c = 0; c < in.columns; ++c) {
      const std::int64_t entry = in.entry_at(row, c);
      if (entry >= 0) dense[row * in.entries + entry] += grad_scores[row * in.columns + c];
    }
  }
};

// A warp an entry.
template <class T>
struct KeyGrad {
  IndexInputs<T> in;
  const float* dense;
  T* grad_k;
  ORRERY_ON_DEVICE void operator()(std::int64_t key_row, int lane, unsigned char* memory) const {
    auto* sums = reinterpret_cast<float*>(memory);
    const std::int64_t b = key_row / in.entries, entry = key_row % in.entries;
    const T* key = in.k + key_row * in.dim;
    for (std::int64_t i = lane; i < in.dim; i += kWarp) sums[i] = 0;
    for (std::int64_t row = b * in.queries; row < (b + 1) * in.queries; ++row) {
      const float g = dense[row * in.entries + entry];
      if (g == 0) continue;  // the whole warp alike
      for (std::int64_t q_row = row * in.heads; q_row < (row + 1) * in.heads; ++q_row) {
        float dot = 0;
        for (std::int64_t i = lane; i < in.dim; i += kWarp)
          dot += to_float(in.q[q_row * in.dim + i]) * to_float(key[i]);
        dot = warp_sum(dot);
        if (!(dot > 0)) continue;
        for (std::int64_t i = lane; i < in.dim; i += kWarp)
          sums[i] += g * in.w[q_row] * to_float(in.q[q_row * in.dim + i]);
      }
    }
    for (std::int64_t i = lane; i < in.dim; i += kWarp) grad_k[key_row * in.dim + i] = from_float<T>(sums[i]);
  }
};

void scores_backward(const IndexScoresBackwardArgs& args) {
  const char* op = IndexScoresBackwardArgs::kOp;
  constexpr std::int64_t kFloat = sizeof(float);
  with_float_type(args.q.dtype, [&]<class T>() {
    const IndexInputs<T> in = inputs_of<T>(args, args.indices, args.grad_scores.shape[2]);
    const auto* grad_scores = args.grad_scores.as<const float>();
    const std::int64_t batch = args.q.shape[0], rows = batch * in.queries, bytes = (in.dim * kFloat + 15) / 16 * 16;
    launch_rows(op, rows * in.heads, bytes,
                QueryGrad<T>{in, grad_scores, args.grad_q.as<T>(), args.grad_w.as<float>()});
    auto* dense = static_cast<float*>(scratch(kScratchPartial, rows * in.entries * kFloat));
    launch_each(op, rows, Spread<T>{in, grad_scores, dense});
    launch_rows(op, batch * in.entries, bytes, KeyGrad<T>{in, dense, args.grad_k.as<T>()});
  });
}

struct KlRow {
  float top, total, mass;  // of the scores' softmax, and of the target
};

ORRERY_ON_DEVICE KlRow kl_row(const float* scores, const float* mass, std::int64_t count, int lane) {
  KlRow row{-INFINITY, 0, 0};
  for (std::int64_t i = lane; i < count; i += kWarp) row.top = fmaxf(row.top, scores[i]);
  row.top = warp_max(row.top);
  for (std::int64_t i = lane; i < count; i += kWarp) {
    if (scores[i] == -INFINITY) continue;
    row.total += expf(scores[i] - row.top);
    row.mass += mass[i];
  }
  row.total = warp_sum(row.total);
  row.mass = warp_sum(row.mass);
  return row;
}

struct Kl {
  const float *scores, *mass;
  float* loss;
  std::int64_t count;
  ORRERY_ON_DEVICE void operator()(std::int64_t r, int lane, unsigned char*) const {
    const float *s = scores + r * count, *m = mass + r * count;
    const KlRow row = kl_row(s, m, count, lane);
    float sum = 0;
    for (std::int64_t i = lane; i < count; i += kWarp) {
      if (s[i] == -INFINITY || m[i] <= 0 || row.mass <= 0) continue;
      const float share = m[i] / row.mass;
      sum += share * (logf(share) - (s[i] - row.top - logf(row.total)));
    }
    sum = warp_sum(sum);
    if (lane == 0) loss[r] = sum;
  }
};

struct KlBackward {
  const float *scores, *mass, *grad_loss;
  float* grad_scores;
  std::int64_t count;
  ORRERY_ON_DEVICE void operator()(std::int64_t r, int lane, unsigned char*) const {
    const float *s = scores + r * count, *m = mass + r * count;
    const KlRow row = kl_row(s, m, count, lane);
    for (std::int64_t i = lane; i < count; i += kWarp) {
      const bool counts = s[i] != -INFINITY && row.mass > 0;
      grad_scores[r * count + i] = counts ? (expf(s[i] - row.top) / row.total - m[i] / row.mass) * grad_loss[r] : 0.0f;
    }
  }
};

void kl(const IndexKlArgs& args) {
  launch_rows(
      IndexKlArgs::kOp, args.scores.shape[0], 0,
      Kl{args.scores.as<const float>(), args.mass.as<const float>(), args.loss.as<float>(), args.scores.shape[1]});
}

void kl_backward(const IndexKlBackwardArgs& args) {
  launch_rows(IndexKlBackwardArgs::kOp, args.scores.shape[0], 0,
              KlBackward{args.scores.as<const float>(), args.mass.as<const float>(), args.grad_loss.as<const float>(),
                         args.grad_scores.as<float>(), args.scores.shape[1]});
}

}  // namespace

void add_indexer_kernels() {
  add_kernel<IndexTopKArgs>(Device::cuda, "blocks", top_k);
  add_kernel<IndexScoresArgs>(Device::cuda, "elements", scores);
  add_kernel<IndexScoresBackwardArgs>(Device::cuda, "warps", scores_backward);
  add_kernel<IndexKlArgs>(Device::cuda, "warps", kl);
  add_kernel<IndexKlBackwardArgs>(Device::cuda, "warps", kl_backward);
}

}  // namespace orrery::gpu
