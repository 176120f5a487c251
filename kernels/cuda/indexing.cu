// Embedding rows, gather and scatter. Sums run in the order of the indices, without atomics.
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
    const std::int64_t id = ids[i / d];
    y.store<float>(i, id < 0 ? 0.0f : table.load<float>(id * d + i % d));
  }
};

// A block has one row of the table. It looks through the ids 256 at a time, lists those that are its own in their
// order, and adds their gradients up.
struct EmbeddingBackward {
  Values grad_y, grad_table;
  const std::int32_t* ids;
  const float* scale;
  std::int64_t n, d;
  static constexpr int kAtOnce = 8;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    float* sums = reinterpret_cast<float*>(block.memory);
    std::int32_t* list = reinterpret_cast<std::int32_t*>(sums + d);  // [threads]
    std::int32_t* counts = list + kThreads;                          // [warps]
    for (std::int64_t c = block.thread; c < d; c += block.threads)
      sums[c] = grad_table.load<float>(block.index * d + c);
    bool hit = false;
    for (std::int64_t first = 0; first < n; first += block.threads) {
      const std::int64_t r = first + block.thread;
      const bool mine = r < n && ids[r] == block.index;
      const unsigned bits = ballot(mine);
      if (block.lane() == 0) counts[block.warp()] = ones(bits);
      block.sync();
      std::int32_t before = 0, total = 0;
      for (int w = 0; w < block.warps(); ++w) {
        if (w < block.warp()) before += counts[w];
        total += counts[w];
      }
      if (mine) list[before + ones(bits & ((1u << block.lane()) - 1u))] = static_cast<std::int32_t>(block.thread);
      block.sync();
      for (std::int64_t c = block.thread; c < d; c += block.threads) {
        // A common id's rows are many: several are on their way at a time.
        float sum = sums[c];
        std::int32_t k = 0;
        for (; k + kAtOnce <= total; k += kAtOnce) {
          float values[kAtOnce];
          for (int j = 0; j < kAtOnce; ++j) values[j] = scaled(first + list[k + j], c);
          for (int j = 0; j < kAtOnce; ++j) sum += values[j];
        }
        for (; k < total; ++k) sum += scaled(first + list[k], c);
        sums[c] = sum;
      }
      hit = hit || total > 0;
      block.sync();  // before the list is written anew
    }
    if (!hit) return;
    for (std::int64_t c = block.thread; c < d; c += block.threads)
      grad_table.store<float>(block.index * d + c, sums[c]);
  }
  ORRERY_ON_DEVICE float scaled(std::int64_t row, std::int64_t c) const {
    return (scale ? scale[row] : 1.0f) * grad_y.load<float>(row * d + c);
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

constexpr std::int64_t kBackwardExtra = (kThreads + kThreads / kWarp) * std::int64_t{sizeof(std::int32_t)};

void embedding(const EmbeddingArgs& args) {
  launch_each(EmbeddingArgs::kOp, args.y.numel(),
              Embedding{values_of(args.table), values_of(args.y), args.ids.as<const std::int32_t>(), args.y.shape[1]});
}

void embedding_backward(const EmbeddingBackwardArgs& args) {
  const std::int64_t d = args.grad_y.shape[1];
  launch_blocks(EmbeddingBackwardArgs::kOp, args.grad_table.shape[0], kThreads,
                d * std::int64_t{sizeof(float)} + kBackwardExtra,
                EmbeddingBackward{values_of(args.grad_y), values_of(args.grad_table), args.ids.as<const std::int32_t>(),
                                  args.scale.as<const float>(), args.grad_y.shape[0], d});
}

const char* narrow_enough(const EmbeddingBackwardArgs& args) {
  return args.grad_y.shape[1] * std::int64_t{sizeof(float)} + kBackwardExtra <= kMaxShared
             ? nullptr
             : "rows of more than 40,000 values do not fit into shared memory";
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
  add_kernel<EmbeddingBackwardArgs>(Device::cuda, "blocks", embedding_backward, narrow_enough);
  add_kernel<GatherArgs>(Device::cuda, "elements", gather, floats_only);
  add_kernel<ScatterAddArgs>(Device::cuda, "columns", scatter_add);
}

}  // namespace orrery::gpu
