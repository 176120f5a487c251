// Sparse attention, forward (kernels/api/attention.h): a block a query and four heads, a warp a head, the rows through
// shared memory 32 at a time, softmax on the way (Milakov & Gimelshein 2018).
#include "kernels/api/registry.h"
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

template <class T, int kParts>
struct Forward {
  AttentionInputs<T> in;
  T* out;
  float* lse;
  std::int64_t head_groups;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t dim = in.dim, line = dim + 1;      // lines of dim + 1: neighbouring rows in different banks
    auto* tile = reinterpret_cast<float*>(block.memory);  // [32, line]
    float* queries = tile + kWarp * line;                 // [kHeadsAtOnce, dim]
    const std::int64_t row = block.index / head_groups, t = row % in.queries, b = row / in.queries;
    const std::int64_t head = block.index % head_groups * kHeadsAtOnce + block.warp();
    const bool active = head < in.heads;
    const QueryRows<T> rows(in, b, t);
    float* query = queries + block.warp() * dim;
    const std::int64_t q_row = row * in.heads + head;
    for (std::int64_t i = block.lane(); i < dim; i += kWarp) query[i] = active ? to_float(in.q[q_row * dim + i]) : 0.0f;

    float top = -INFINITY, total = 0, sums[kParts] = {};
    for (std::int64_t first = 0; first < rows.count; first += kWarp) {
      block.sync();
      for (int r = block.warp(); r < kWarp; r += block.warps()) {
        const T* from = first + r < rows.count ? rows.get(first + r) : nullptr;
        for (std::int64_t i = block.lane(); i < dim; i += kWarp) tile[r * line + i] = from ? to_float(from[i]) : 0.0f;
      }
      block.sync();
      const bool seen = first + block.lane() < rows.count && rows.get(first + block.lane()) != nullptr;
      const float score = seen ? in.shape.scale * dot_of(query, tile + block.lane() * line, dim) : -INFINITY;
      const float next = fmaxf(top, warp_max(score));
      if (next == -INFINITY) continue;  // the whole warp alike: nothing seen so far
      const float keep = expf(top - next), weight = expf(score - next);
      total = total * keep + warp_sum(weight);
      top = next;
      for (int part = 0; part < kParts; ++part) sums[part] *= keep;
      for (int r = 0; r < kWarp; ++r) {
        const float p = shuffle(weight, r);
        for (int part = 0; part < kParts; ++part) {
          const std::int64_t i = part * kWarp + block.lane();
          if (i < dim) sums[part] += p * tile[r * line + i];
        }
      }
    }
    if (!active) return;
    const float sink = in.sinks ? in.sinks[head] : -INFINITY, all = fmaxf(top, sink);
    const float keep = all == -INFINITY ? 0.0f : expf(top - all);
    total = all == -INFINITY ? 0.0f : total * keep + expf(sink - all);
    for (int part = 0; part < kParts; ++part) {
      const std::int64_t i = part * kWarp + block.lane();
      if (i < dim) out[q_row * dim + i] = from_float<T>(total > 0 ? sums[part] * keep / total : 0.0f);
    }
    if (block.lane() == 0) lse[q_row] = total > 0 ? all + logf(total) : -INFINITY;
  }
};

void forward(const SparseAttentionArgs& args) {
  with_float_type(args.q.dtype, [&]<class T>() {
    const AttentionInputs<T> in = inputs_of<T>(args);
    const std::int64_t groups = (in.heads + kHeadsAtOnce - 1) / kHeadsAtOnce;
    const std::int64_t bytes = (kWarp * (in.dim + 1) + kHeadsAtOnce * in.dim) * std::int64_t{sizeof(float)};
    with_parts(in.dim, [&]<int kParts>() {
      launch_blocks(SparseAttentionArgs::kOp, args.q.shape[0] * in.queries * groups, kHeadsAtOnce * kWarp, bytes,
                    Forward<T, kParts>{in, args.out.as<T>(), args.lse.as<float>(), groups});
    });
  });
}

const char* dim_fits(const SparseAttentionArgs& args) {
  return args.q.shape[3] <= kMostDim ? nullptr : "the head dim is above 512";
}

// A thread a query and an entry.
template <class T>
struct EntryMass {
  const T *q, *entries;
  const std::int32_t* indices;
  const float* lse;
  float* mass;
  std::int64_t queries, heads, dim, entry_count, columns;
  SparseAttentionShape shape;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t row = i / columns, t = row % queries, b = row / queries;
    const std::int64_t entry = indices ? indices[i] : i % columns;
    const std::int64_t limit = (shape.query_start + t + 1) / shape.rate - shape.entry_start;
    float sum = 0;
    if (entry >= 0 && entry < limit && entry < entry_count) {
      const T* key = entries + (b * entry_count + entry) * dim;
      for (std::int64_t h = 0; h < heads; ++h) {
        const T* query = q + (row * heads + h) * dim;
        float dot = 0;
        for (std::int64_t c = 0; c < dim; ++c) dot += to_float(query[c]) * to_float(key[c]);
        sum += expf(dot * shape.scale - lse[row * heads + h]);
      }
    }
    mass[i] = sum;
  }
};

void entry_mass(const EntryMassArgs& args) {
  with_float_type(args.q.dtype, [&]<class T>() {
    launch_each(EntryMassArgs::kOp, args.mass.numel(),
                EntryMass<T>{args.q.as<const T>(), args.entries.as<const T>(), args.indices.as<const std::int32_t>(),
                             args.lse.as<const float>(), args.mass.as<float>(), args.q.shape[1], args.q.shape[2],
                             args.q.shape[3], args.entries.shape[1], args.mass.shape[2], args.shape});
  });
}

}  // namespace

void add_attention_kernels() {
  add_kernel<SparseAttentionArgs>(Device::cuda, "blocks", forward, dim_fits);
  add_kernel<EntryMassArgs>(Device::cuda, "elements", entry_mass);
}

}  // namespace orrery::gpu
