// Products of a decoding step: a warp has some rows of the matrix and some tokens. The lanes' parts of a sum and the
// order in which they are added depend on the matrix alone, so that a token gets the same whatever is beside it.
#include <cmath>

#include "kernels/api/decode_step.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/step_weights.cuh"

namespace orrery::gpu {

namespace {

constexpr int kWarps = 4;

// The sums over a warp of each of kCount values (a power of two, at most 32), each by the tree of warp_reduce: at each
// of its levels the two halves of the lanes share the values out between them. Returns the value whose number
// shared_index() is.
template <int kCount>
ORRERY_ON_DEVICE float shared_sums(float (&values)[kCount], int lane) {
  int mask = kWarp / 2;
  ORRERY_UNROLL
  for (int half = kCount / 2; half > 0; half /= 2, mask /= 2) {
    const bool upper = (lane & mask) != 0;
    ORRERY_UNROLL
    for (int i = 0; i < half; ++i) {
      const float given = upper ? values[i] : values[i + half], kept = upper ? values[i + half] : values[i];
      values[i] = kept + shuffle_xor(given, mask);
    }
  }
  float sum = values[0];
  for (; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  return sum;
}
/// Which value a lane has; the lanes whose lower bits are zero store it.
template <int kCount>
ORRERY_ON_DEVICE int shared_index(int lane) {
  return lane / (kWarp / kCount);
}

template <class W, int kVec, int kRows, int kTokens>
struct Product {
  StepProductArgs args;
  std::int64_t group_rows, k, row_tiles, tiles;  ///< rows of a group, tiles of them, and of all groups

  ORRERY_ON_DEVICE const float* input(std::int64_t t, std::int64_t group) const {
    if (t >= args.count) t = args.count - 1;
    return args.x + (args.rows != nullptr ? args.rows[t] : t) * args.x_stride + group * args.x_group;
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t token_tile = block.index / ((tiles + kWarps - 1) / kWarps),
                       tile = block.index % ((tiles + kWarps - 1) / kWarps) * kWarps + block.warp();
    if (tile >= tiles) return;
    const int lane = block.lane();
    const std::int64_t group = tile / row_tiles, row = tile % row_tiles * kRows, t = token_tile * kTokens;
    const auto* w = static_cast<const W*>(args.matrix.w.data) + group * group_rows * k;
    float inverse[kTokens];
    ORRERY_UNROLL
    for (int i = 0; i < kTokens; ++i) inverse[i] = args.norm != nullptr ? row_inverse(input(t + i, group), lane) : 1.0f;
    float sums[kRows * kTokens] = {};
    for (std::int64_t at = lane * kVec; at < k; at += kWarp * kVec) {
      float weights[kRows][kVec];
      ORRERY_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const std::int64_t mine = row + r < group_rows ? row + r : group_rows - 1;
        load_values<kVec>(weights[r], w + mine * k + at);
      }
      ORRERY_UNROLL
      for (int i = 0; i < kTokens; ++i) {
        float x[kVec];
        load_values<kVec>(x, input(t + i, group) + at);
        if (args.norm != nullptr) {
          ORRERY_UNROLL
          for (int v = 0; v < kVec; ++v) x[v] *= inverse[i] * args.norm[at + v];
        }
        ORRERY_UNROLL
        for (int r = 0; r < kRows; ++r) {
          ORRERY_UNROLL
          for (int v = 0; v < kVec; ++v) sums[r * kTokens + i] = fmaf(weights[r][v], x[v], sums[r * kTokens + i]);
        }
      }
    }
    constexpr int kSums = kRows * kTokens;
    float sum = shared_sums<kSums>(sums, lane);
    const int index = shared_index<kSums>(lane);
    const std::int64_t r = row + index / kTokens, token = t + index % kTokens;
    if (lane % (kWarp / kSums) != 0 || r >= group_rows || token >= args.count) return;
    if (args.matrix.scales != nullptr) sum *= args.matrix.scales[group * group_rows + r];
    args.y[token * args.y_stride + group * args.y_group + r] = sum;
  }

  ORRERY_ON_DEVICE float row_inverse(const float* x, int lane) const {
    double squares = 0;
    for (std::int64_t i = lane; i < k; i += kWarp) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    squares = warp_sum(squares);
    return static_cast<float>(1 / sqrt(squares / static_cast<double>(k) + static_cast<double>(args.eps)));
  }
};

template <class W, int kVec, int kRows, int kTokens>
void launch(const StepProductArgs& args) {
  const std::int64_t group_rows = args.matrix.w.shape[0] / args.groups, row_tiles = (group_rows + kRows - 1) / kRows,
                     tiles = row_tiles * args.groups;
  launch_blocks(StepProductArgs::kOp, (args.count + kTokens - 1) / kTokens * ((tiles + kWarps - 1) / kWarps),
                kWarps * kWarp, 0,
                Product<W, kVec, kRows, kTokens>{args, group_rows, args.matrix.w.shape[1], row_tiles, tiles});
}

void product(const StepProductArgs& args) {
  const bool aligned = all_aligned(args.x, args.norm) && args.x_stride % 4 == 0 && args.x_group % 4 == 0;
  with_weights(args.matrix, aligned, [&]<class W, int kVec>() {
    if (args.count == 1)
      launch<W, kVec, 1, 1>(args);
    else if (args.count <= 4)
      launch<W, kVec, 1, 4>(args);
    else
      launch<W, kVec, 4, 8>(args);
  });
}

}  // namespace

void add_step_product_kernels() { add_kernel<StepProductArgs>(Device::cuda, "warps", product); }

}  // namespace orrery::gpu
