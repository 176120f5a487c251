// Nested loops over several strided views at once, neighbouring dimensions merged where all of them step evenly.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/api/types.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

template <std::size_t kViews>
struct Loops {
  int rank = 0;  ///< at least 1 after make_loops
  std::array<std::int64_t, kMaxRank> shape{};
  std::array<std::array<std::int64_t, kViews>, kMaxRank> strides{};

  std::int64_t inner() const { return shape[static_cast<std::size_t>(rank - 1)]; }
  std::int64_t inner_stride(std::size_t view) const { return strides[static_cast<std::size_t>(rank - 1)][view]; }
  std::int64_t outer() const {
    std::int64_t count = 1;
    for (int d = 0; d + 1 < rank; ++d) count *= shape[static_cast<std::size_t>(d)];
    return count;
  }
  /// Element offsets of each view at the start of inner run number `index`.
  std::array<std::int64_t, kViews> offsets(std::int64_t index) const {
    std::array<std::int64_t, kViews> result{};
    for (int d = rank - 2; d >= 0; --d) {
      const auto at = static_cast<std::size_t>(d);
      const std::int64_t step = index % shape[at];
      index /= shape[at];
      for (std::size_t v = 0; v < kViews; ++v) result[v] += step * strides[at][v];
    }
    return result;
  }
};

/// All views have the first one's shape.
template <std::size_t kViews>
Loops<kViews> make_loops(const std::array<const TensorView*, kViews>& views) {
  Loops<kViews> loops;
  for (int d = 0; d < views[0]->rank; ++d) {
    const std::int64_t size = views[0]->shape[d];
    if (size == 1) continue;
    std::array<std::int64_t, kViews> strides{};
    for (std::size_t v = 0; v < kViews; ++v) strides[v] = views[v]->shape[d] == 1 ? 0 : views[v]->strides[d];
    bool merges = loops.rank > 0;
    if (merges) {
      const auto& last = loops.strides[static_cast<std::size_t>(loops.rank - 1)];
      for (std::size_t v = 0; v < kViews; ++v) merges = merges && last[v] == strides[v] * size;
    }
    if (!merges) {
      loops.shape[static_cast<std::size_t>(loops.rank++)] = 1;
    }
    const auto at = static_cast<std::size_t>(loops.rank - 1);
    loops.shape[at] *= size;
    loops.strides[at] = strides;
  }
  if (loops.rank == 0) {
    loops.rank = 1;
    loops.shape[0] = 1;
    loops.strides[0].fill(1);
  }
  return loops;
}

/// Runs body(offsets, count) over inner runs, cut into pieces and shared among the threads. A piece starts inside an
/// inner run only where each view's inner stride carries it there.
template <std::size_t kViews, class Body>
void for_each_run(const Loops<kViews>& loops, const Body& body) {
  constexpr std::int64_t kGrain = 1 << 14;
  const std::int64_t outer = loops.outer(), inner = loops.inner();
  if (outer == 0 || inner == 0) return;
  if (outer == 1) {
    parallel_blocks(inner, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::array<std::int64_t, kViews> offsets{};
      for (std::size_t v = 0; v < kViews; ++v) offsets[v] = begin * loops.inner_stride(v);
      body(offsets, end - begin);
    });
    return;
  }
  parallel_blocks(outer, std::max<std::int64_t>(1, kGrain / inner), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) body(loops.offsets(index), inner);
  });
}

}  // namespace orrery
