// The k largest of each row: a thread an element counts those that come before it. For rows of a few thousand values.
#include <cmath>

#include "kernels/api/indexing.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr std::int64_t kLongest = 8192;

struct Rank {
  Values x, values;
  std::int32_t* indices;
  std::int64_t n, k;
  bool ascending;
  /// NaN ranks with the worst.
  ORRERY_ON_DEVICE float key(std::int64_t at) const {
    const float value = x.load<float>(at);
    if (value != value) return -INFINITY;
    return ascending ? -value : value;
  }
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t row = i / n, first = row * n;
    const float mine = key(i);
    std::int64_t rank = 0;
    for (std::int64_t j = first; j < first + n && rank < k; ++j) {
      const float other = key(j);
      rank += other > mine || (other == mine && j < i) ? 1 : 0;
    }
    if (rank >= k) return;
    indices[row * k + rank] = static_cast<std::int32_t>(i - first);
    values.store<float>(row * k + rank, x.load<float>(i));
  }
};

void top_k(const TopKArgs& args) {
  launch_each(TopKArgs::kOp, args.x.numel(),
              Rank{values_of(args.x), values_of(args.values), args.indices.as<std::int32_t>(), args.x.shape[1],
                   args.values.shape[1], args.ascending});
}

const char* short_rows(const TopKArgs& args) {
  return args.x.shape[1] <= kLongest ? nullptr : "rows of more than 8192 values";
}

}  // namespace

void add_top_k_kernels() { add_kernel<TopKArgs>(Device::cuda, "ranks", top_k, short_rows); }

}  // namespace orrery::gpu
