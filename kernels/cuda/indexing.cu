// Embedding rows, gather and scatter. Sums run in the order of the indices, without atomics.
#include <algorithm>

#include "kernels/api/indexing.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

struct Embedding {
  Values table, y;
  const std::int32_t* ids;
  std::int64_t d;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [row, c] = divided(i, d);
    const std::int64_t id = ids[row];
    y.store<float>(i, id < 0 ? 0.0f : table.load<float>(id * d + c));
  }
};

// Of `groups` blocks a block has every groups-th row of the table (common ids are often neighbours), and of their
// columns as many as fit. It looks through the ids kStep at a time, lists those of its rows in their order, and adds
// their gradients up in shared memory, a thread a column.
template <class T>
struct EmbeddingBackward {
  static constexpr int kLooks = 4, kStep = kLooks * kThreads, kList = 2 * kStep, kWarps = kThreads / kWarp;
  static constexpr int kAtOnce = 32;  ///< gradient rows on their way: a common id has thousands
  struct alignas(16) Entry {
    std::int32_t row, slot;  ///< of grad_y; of sums
    float factor;
  };

  const T* grad_y;
  Values grad_table;
  const std::int32_t* ids;
  const float* scale;
  std::int64_t n, d, rows;
  int groups, slots, columns;

  std::int64_t shared_bytes() const {
    return kList * std::int64_t{sizeof(Entry)} +
           (std::int64_t{slots} * columns + slots + kLooks * kWarps) * std::int64_t{sizeof(float)};
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    auto* list = reinterpret_cast<Entry*>(block.memory);
    auto* counts = reinterpret_cast<std::int32_t*>(list + kList);  // [kLooks][kWarps]
    std::int32_t* hits = counts + kLooks * kWarps;                 // [slots]
    auto* sums = reinterpret_cast<float*>(hits + slots);           // [slots][columns]
    const auto group = static_cast<int>(block.index % groups);
    const std::int64_t first_column = block.index / groups * columns;
    const auto width = static_cast<int>(d - first_column < columns ? d - first_column : columns);
    for (int s = block.thread; s < slots; s += block.threads) hits[s] = 0;
    for (int s = 0; s < slots && group + std::int64_t{s} * groups < rows; ++s)
      for (int c = block.thread; c < width; c += block.threads)
        sums[s * columns + c] = grad_table.load<float>((group + std::int64_t{s} * groups) * d + first_column + c);
    block.sync();
    int count = 0;
    for (std::int64_t first = 0; first < n; first += kStep) {
      count += list_own(block, first, group, list + count, counts, hits);
      block.sync();
      if (count + kStep <= kList && first + kStep < n) continue;
      for (int c = block.thread; c < width; c += block.threads) add_listed(list, count, first_column + c, sums + c);
      count = 0;
      block.sync();  // before the list is written anew
    }
    for (int s = 0; s < slots; ++s) {
      if (!hits[s]) continue;
      for (int c = block.thread; c < width; c += block.threads)
        grad_table.store<float>((group + std::int64_t{s} * groups) * d + first_column + c, sums[s * columns + c]);
    }
  }
  /// Lists those of the ids from `first` that are the block's; returns how many.
  ORRERY_ON_DEVICE int list_own(const Block& block, std::int64_t first, int group, Entry* list, std::int32_t* counts,
                                std::int32_t* hits) const {
    std::int32_t found[kLooks];
    unsigned bits[kLooks];
    ORRERY_UNROLL
    for (int i = 0; i < kLooks; ++i) {
      const std::int64_t r = first + i * kThreads + block.thread;
      found[i] = r < n ? ids[r] : -1;
    }
    ORRERY_UNROLL
    for (int i = 0; i < kLooks; ++i) {
      const std::uint32_t id = static_cast<std::uint32_t>(found[i]), slot = id / static_cast<std::uint32_t>(groups);
      const bool mine = found[i] >= 0 && id - slot * static_cast<std::uint32_t>(groups) == static_cast<unsigned>(group);
      found[i] = mine ? static_cast<std::int32_t>(slot) : -1;
      bits[i] = ballot(mine);
      if (block.lane() == 0) counts[i * kWarps + block.warp()] = ones(bits[i]);
    }
    block.sync();
    int total = 0;
    ORRERY_UNROLL
    for (int i = 0; i < kLooks; ++i) {
      int before = total;
      for (int w = 0; w < kWarps; ++w) {
        if (w < block.warp()) before += counts[i * kWarps + w];
        total += counts[i * kWarps + w];
      }
      if (found[i] < 0) continue;
      const std::int64_t r = first + i * kThreads + block.thread;
      list[before + ones(bits[i] & ((1u << block.lane()) - 1u))] =
          Entry{static_cast<std::int32_t>(r), found[i], scale ? scale[r] : 1.0f};
      hits[found[i]] = 1;
    }
    return total;
  }
  /// Adds column c of the listed rows to its sums, which are `columns` apart.
  ORRERY_ON_DEVICE void add_listed(const Entry* list, int count, std::int64_t c, float* sums) const {
    int slot = -1;
    float sum = 0;
    for (int k = 0; k < count; k += kAtOnce) {
      float values[kAtOnce];
      ORRERY_UNROLL
      for (int j = 0; j < kAtOnce; ++j)
        values[j] = to_float(grad_y[list[k + j < count ? k + j : count - 1].row * d + c]);
      ORRERY_UNROLL
      for (int j = 0; j < kAtOnce; ++j) {
        if (k + j >= count) break;
        const Entry entry = list[k + j];
        if (entry.slot != slot) {
          if (slot >= 0) sums[slot * columns] = sum;
          slot = entry.slot;
          sum = sums[slot * columns];
        }
        sum += entry.factor * values[j];
      }
    }
    if (slot >= 0) sums[slot * columns] = sum;
  }
  static ORRERY_ON_DEVICE std::int32_t ones(unsigned bits) {
    std::int32_t count = 0;
    for (; bits != 0; bits &= bits - 1) ++count;
    return count;
  }
};

struct Gather {
  Values x, y;
  const std::int32_t* index;
  std::int64_t size, count, inner;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t outer = i / (count * inner);
    y.store<float>(i, x.load<float>((outer * size + index[i]) * inner + i % inner));
  }
};

struct ScatterAdd {
  Values x, y;
  const std::int32_t* index;
  std::int64_t size, count, inner;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t outer = i / inner, place = i % inner;
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t from = (outer * count + j) * inner + place, to = (outer * size + index[from]) * inner + place;
      y.store<float>(to, y.load<float>(to) + x.load<float>(from));
    }
  }
};

void embedding(const EmbeddingArgs& args) {
  launch_each(EmbeddingArgs::kOp, args.y.numel(),
              Embedding{values_of(args.table), values_of(args.y), args.ids.as<const std::int32_t>(), args.y.shape[1]});
}

void embedding_backward(const EmbeddingBackwardArgs& args) {
  // Sums take up to 64 KB of a block; small tables are cut finer, so that there is a block for every multiprocessor.
  constexpr std::int64_t kMostColumns = 1024, kMostSums = 64 * 1024 / sizeof(float), kMostSlots = 64, kBlocks = 256;
  const std::int64_t n = args.grad_y.shape[0], d = args.grad_y.shape[1], rows = args.grad_table.shape[0];
  if (rows == 0 || d == 0) return;
  const std::int64_t columns = std::min(d, kMostColumns);
  const std::int64_t most = std::clamp<std::int64_t>(rows / kBlocks, 1, std::min(kMostSums / columns, kMostSlots));
  const std::int64_t groups = (rows + most - 1) / most, slots = (rows + groups - 1) / groups;
  with_float_type(args.grad_y.dtype, [&]<class T>() {
    const EmbeddingBackward<T> kernel{args.grad_y.as<const T>(),
                                      values_of(args.grad_table),
                                      args.ids.as<const std::int32_t>(),
                                      args.scale.as<const float>(),
                                      n,
                                      d,
                                      rows,
                                      static_cast<int>(groups),
                                      static_cast<int>(slots),
                                      static_cast<int>(columns)};
    launch_blocks(EmbeddingBackwardArgs::kOp, groups * ((d + columns - 1) / columns), kThreads, kernel.shared_bytes(),
                  kernel);
  });
}

void gather(const GatherArgs& args) {
  launch_each(GatherArgs::kOp, args.y.numel(),
              Gather{values_of(args.x), values_of(args.y), args.index.as<const std::int32_t>(), args.x.shape[1],
                     args.y.shape[1], args.y.shape[2]});
}

void scatter_add(const ScatterAddArgs& args) {
  launch_each(ScatterAddArgs::kOp, args.y.shape[0] * args.y.shape[2],
              ScatterAdd{values_of(args.x), values_of(args.y), args.index.as<const std::int32_t>(), args.y.shape[1],
                         args.x.shape[1], args.y.shape[2]});
}

const char* floats_only(const GatherArgs& args) { return integral(args.x) ? "x is no f32 or bf16" : nullptr; }

}  // namespace

void add_indexing_kernels() {
  add_kernel<EmbeddingArgs>(Device::cuda, "elements", embedding);
  add_kernel<EmbeddingBackwardArgs>(Device::cuda, "blocks", embedding_backward);
  add_kernel<GatherArgs>(Device::cuda, "elements", gather, floats_only);
  add_kernel<ScatterAddArgs>(Device::cuda, "columns", scatter_add);
}

}  // namespace orrery::gpu
