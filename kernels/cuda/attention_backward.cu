// Sparse attention, backward, without atomics: one pass over queries gives grad_q and each query's own Σ out·grad_out,
// one pass over keys and one over entries gather from the queries that see them. Picked entries are turned into a bit a
// query and entry first.
#include "kernels/api/registry.h"
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

// A block a query and four heads, as in the forward pass.
template <class T, int kParts>
struct QueryPass {
  AttentionInputs<T> in;
  const T *out, *grad_out;
  const float* lse;
  T* grad_q;
  float* delta;  ///< [B, S, H]
  std::int64_t head_groups;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t dim = in.dim, line = dim + 1;
    auto* tile = reinterpret_cast<float*>(block.memory);  // [32, line]
    float* queries = tile + kWarp * line;                 // [kHeadsAtOnce, dim]
    float* grads = queries + kHeadsAtOnce * dim;          // [kHeadsAtOnce, dim]
    const std::int64_t row = block.index / head_groups, t = row % in.queries, b = row / in.queries;
    const std::int64_t head = block.index % head_groups * kHeadsAtOnce + block.warp();
    const bool active = head < in.heads;
    const QueryRows<T> rows(in, b, t);
    float *query = queries + block.warp() * dim, *grad = grads + block.warp() * dim;
    const std::int64_t q_row = row * in.heads + head;
    float own = 0;
    for (std::int64_t i = block.lane(); i < dim; i += kWarp) {
      query[i] = active ? to_float(in.q[q_row * dim + i]) : 0.0f;
      grad[i] = active ? to_float(grad_out[q_row * dim + i]) : 0.0f;
      own += active ? to_float(out[q_row * dim + i]) * grad[i] : 0.0f;
    }
    own = warp_sum(own);
    if (active && block.lane() == 0) delta[q_row] = own;
    const float log_sum = active ? lse[q_row] : 0.0f;

    float sums[kParts] = {};
    for (std::int64_t first = 0; first < rows.count; first += kWarp) {
      block.sync();
      for (int r = block.warp(); r < kWarp; r += block.warps()) {
        const T* from = first + r < rows.count ? rows.get(first + r) : nullptr;
        for (std::int64_t i = block.lane(); i < dim; i += kWarp) tile[r * line + i] = from ? to_float(from[i]) : 0.0f;
      }
      block.sync();
      const float* mine = tile + block.lane() * line;
      float slope = 0;
      if (active && first + block.lane() < rows.count && rows.get(first + block.lane()) != nullptr) {
        const float p = expf(in.shape.scale * dot_of(query, mine, dim) - log_sum);
        slope = p * (dot_of(grad, mine, dim) - own) * in.shape.scale;
      }
      for (int r = 0; r < kWarp; ++r) {
        const float s = shuffle(slope, r);
        for (int part = 0; part < kParts; ++part) {
          const std::int64_t i = part * kWarp + block.lane();
          if (i < dim) sums[part] += s * tile[r * line + i];
        }
      }
    }
    if (!active) return;
    for (int part = 0; part < kParts; ++part) {
      const std::int64_t i = part * kWarp + block.lane();
      if (i < dim) grad_q[q_row * dim + i] = from_float<T>(sums[part]);
    }
  }
};

// A bit for each query and entry: whether it was picked and may be seen. A thread a query.
template <class T>
struct MarkPicks {
  AttentionInputs<T> in;
  std::uint32_t* marks;  ///< [B, S, words]
  std::int64_t words;
  ORRERY_ON_DEVICE void operator()(std::int64_t row) const {
    std::uint32_t* mine = marks + row * words;
    for (std::int64_t w = 0; w < words; ++w) mine[w] = 0;
    const std::int64_t visible = in.visible(row % in.queries);
    for (std::int64_t k = 0; k < in.picks; ++k) {
      const std::int64_t entry = in.indices[row * in.picks + k];
      if (entry >= 0 && entry < visible) mine[entry / 32] |= std::uint32_t{1} << (entry % 32);
    }
  }
};

// A block a row of kv (or of entries). Its warps take 32 queries in turn, list those that see the row, and go through
// their heads 32 at a time: a lane a pair of query and head.
template <class T, int kParts>
struct KeyPass {
  AttentionInputs<T> in;
  const T* grad_out;
  const float *lse, *delta;
  T* grad;                     ///< of kv, or of entries
  const std::uint32_t* marks;  ///< of picked entries, or nullptr
  std::int64_t words;
  bool of_entries;

  ORRERY_ON_DEVICE bool sees(std::int64_t b, std::int64_t t, std::int64_t key) const {
    if (!of_entries) return key >= in.first_key(t) && key < in.last_key(t);
    if (!marks) return key < in.visible(t);
    return (marks[(b * in.queries + t) * words + key / 32] >> (key % 32) & 1u) != 0;
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t dim = in.dim, line = dim + 1, rows = of_entries ? in.entry_count : in.keys;
    const std::int64_t key = block.index % rows, b = block.index / rows;
    auto* own = reinterpret_cast<float*>(block.memory);  // [dim]
    float* slots = own + dim;                            // [warps][2][32, line], the queries and their gradients
    float* q_tile = slots + block.warp() * 2 * kWarp * line;
    float* g_tile = q_tile + kWarp * line;
    auto* lists = reinterpret_cast<std::int32_t*>(slots + block.warps() * 2 * kWarp * line);  // [warps][32]
    std::int32_t* list = lists + block.warp() * kWarp;
    const T* values = (of_entries ? in.entries : in.kv) + block.index * dim;
    for (std::int64_t i = block.thread; i < dim; i += block.threads) own[i] = to_float(values[i]);
    block.sync();

    // The first and last query that may see the row.
    std::int64_t begin = 0, end = in.queries;
    if (!of_entries) {
      begin = in.shape.kv_start + key - in.shape.query_start;
      end = begin + in.shape.window;
    } else {
      begin = (key + in.shape.entry_start + 1) * in.shape.rate - 1 - in.shape.query_start;
    }
    begin = begin < 0 ? 0 : begin;
    end = end > in.queries ? in.queries : end;
    float sums[kParts] = {};
    for (std::int64_t chunk = begin + block.warp() * kWarp; chunk < end; chunk += block.warps() * kWarp) {
      const std::int64_t t = chunk + block.lane();
      const bool mine = t < end && sees(b, t, key);
      const unsigned bits = ballot(mine);
      std::int64_t count = 0, before = 0;
      for (int r = 0; r < kWarp; ++r) {
        count += bits >> r & 1u;
        before += r < block.lane() ? bits >> r & 1u : 0u;
      }
      warp_sync();  // the list may still be read
      if (mine) list[before] = static_cast<std::int32_t>(t);
      warp_sync();
      for (std::int64_t pair = 0; pair < count * in.heads; pair += kWarp)
        add_pairs(b, list, pair, count * in.heads, block.lane(), own, q_tile, g_tile, sums);
    }
    // The warps' sums, in their order.
    block.sync();
    for (int part = 0; part < kParts; ++part) {
      const std::int64_t i = part * kWarp + block.lane();
      if (i < dim) slots[block.warp() * line + i] = sums[part];
    }
    block.sync();
    for (std::int64_t i = block.thread; i < dim; i += block.threads) {
      float sum = 0;
      for (int w = 0; w < block.warps(); ++w) sum += slots[w * line + i];
      grad[block.index * dim + i] = from_float<T>(sum);
    }
  }

  ORRERY_ON_DEVICE void add_pairs(std::int64_t b, const std::int32_t* list, std::int64_t first, std::int64_t pairs,
                                  int lane, const float* own, float* q_tile, float* g_tile,
                                  float (&sums)[kParts]) const {
    const std::int64_t dim = in.dim, line = dim + 1;
    warp_sync();  // the tiles may still be read
    for (int r = 0; r < kWarp; ++r) {
      if (first + r >= pairs) break;
      const std::int64_t from = row_of(b, list, first + r) * dim;
      for (std::int64_t i = lane; i < dim; i += kWarp) {
        q_tile[r * line + i] = to_float(in.q[from + i]);
        g_tile[r * line + i] = to_float(grad_out[from + i]);
      }
    }
    warp_sync();
    float p = 0, slope = 0;
    if (first + lane < pairs) {
      const std::int64_t row = row_of(b, list, first + lane);
      p = expf(in.shape.scale * dot_of(q_tile + lane * line, own, dim) - lse[row]);
      slope = p * (dot_of(g_tile + lane * line, own, dim) - delta[row]) * in.shape.scale;
    }
    for (int r = 0; r < kWarp; ++r) {
      if (first + r >= pairs) break;
      const float weight = shuffle(p, r), s = shuffle(slope, r);
      for (int part = 0; part < kParts; ++part) {
        const std::int64_t i = part * kWarp + lane;
        if (i < dim) sums[part] += s * q_tile[r * line + i] + weight * g_tile[r * line + i];
      }
    }
  }
  /// The row of q that a pair stands for.
  ORRERY_ON_DEVICE std::int64_t row_of(std::int64_t b, const std::int32_t* list, std::int64_t pair) const {
    return (b * in.queries + list[pair / in.heads]) * in.heads + pair % in.heads;
  }
};

template <class T, int kParts>
void key_pass(KeyPass<T, kParts> kernel, std::int64_t batch) {
  const std::int64_t dim = kernel.in.dim, a_warp = 2 * kWarp * (dim + 1) + kWarp;
  int warps = 4;
  while (warps > 1 && (dim + warps * a_warp) * std::int64_t{sizeof(float)} > 96 * 1024) warps /= 2;
  launch_blocks(SparseAttentionBackwardArgs::kOp, batch * (kernel.of_entries ? kernel.in.entry_count : kernel.in.keys),
                warps * kWarp, (dim + warps * a_warp) * std::int64_t{sizeof(float)}, kernel);
}

template <class T, int kParts>
void run_backward(const SparseAttentionBackwardArgs& args) {
  const char* op = SparseAttentionBackwardArgs::kOp;
  constexpr std::int64_t kFloat = sizeof(float);
  const AttentionInputs<T> in = inputs_of<T>(args);
  const std::int64_t batch = args.q.shape[0], rows = batch * in.queries,
                     groups = (in.heads + kHeadsAtOnce - 1) / kHeadsAtOnce;
  auto* delta = static_cast<float*>(scratch(kScratchRows, rows * in.heads * kFloat));
  const auto* lse = args.lse.as<const float>();
  const auto* grad_out = args.grad_out.as<const T>();
  launch_blocks(op, rows * groups, kHeadsAtOnce * kWarp, (kWarp * (in.dim + 1) + 2 * kHeadsAtOnce * in.dim) * kFloat,
                QueryPass<T, kParts>{in, args.out.as<const T>(), grad_out, lse, args.grad_q.as<T>(), delta, groups});
  key_pass(KeyPass<T, kParts>{in, grad_out, lse, delta, args.grad_kv.as<T>(), nullptr, 0, false}, batch);
  if (in.entry_count > 0) {
    std::uint32_t* marks = nullptr;
    const std::int64_t words = (in.entry_count + 31) / 32;
    if (in.indices) {
      marks = static_cast<std::uint32_t*>(scratch(kScratchMask, rows * words * std::int64_t{sizeof(std::uint32_t)}));
      launch_each(op, rows, MarkPicks<T>{in, marks, words});
    }
    key_pass(KeyPass<T, kParts>{in, grad_out, lse, delta, args.grad_entries.as<T>(), marks, words, true}, batch);
  }
  if (args.grad_sinks)
    launch_blocks(op, in.heads, kMaxThreads, kReduceBytes,
                  SinkPass{in.sinks, lse, delta, args.grad_sinks.as<float>(), rows, in.heads});
}

void backward(const SparseAttentionBackwardArgs& args) {
  with_float_type(args.q.dtype, [&]<class T>() {
    with_parts(args.q.shape[3], [&]<int kParts>() { run_backward<T, kParts>(args); });
  });
}

const char* dim_fits(const SparseAttentionBackwardArgs& args) {
  return args.q.shape[3] <= kMostDim ? nullptr : "the head dim is above 512";
}

}  // namespace

void add_attention_backward_kernels() {
  add_kernel<SparseAttentionBackwardArgs>(Device::cuda, "blocks", backward, dim_fits);
}

}  // namespace orrery::gpu
