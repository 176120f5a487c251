// The products of a mixture of experts on tensor cores, all experts in one launch that reads the offsets itself: nobody
// waits for them. A block has 128 × 128 results, its warps 64 × 32 each; the next 32 steps of depth are fetched while
// the present ones are multiplied.
#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kLines = 128, kDepth = 32, kThreads = 256;
constexpr int kPitch = kDepth + 8;  // halves from line to line: eight lines fall into different banks
constexpr std::int64_t kBytes = 2 * kLines * kPitch * std::int64_t{sizeof(BFloat16)};
constexpr int kWarpRows = 64, kWarpColumns = 32, kRowTiles = kWarpRows / 16, kColumnTiles = kWarpColumns / 8;

/// Eight neighbouring bf16.
struct alignas(16) Eight {
  std::uint32_t pairs[4];
};

ORRERY_ON_DEVICE Eight eight_of(const BFloat16* from) { return *reinterpret_cast<const Eight*>(from); }
ORRERY_ON_DEVICE Eight eight_of(const float* from) {
  Eight result;
  ORRERY_UNROLL
  for (int i = 0; i < 4; ++i) result.pairs[i] = bf16_pair(from[2 * i], from[2 * i + 1]);
  return result;
}

// An operand as lines (rows of A, columns of B) along the depth that is summed over. One of the strides is 1.
template <class T>
struct Lines {
  const T* data;
  std::int64_t line_stride, depth_stride, lines, depth;
  bool aligned;  ///< eights start at multiples of 16 bytes

  /// Part 0 or 1 of what the thread carries of the tile at (line, step).
  ORRERY_ON_DEVICE Eight fetch(const Block& block, int part, std::int64_t line, std::int64_t step) const {
    const bool along_depth = depth_stride == 1;
    const int index = block.thread + part * kThreads;
    line += along_depth ? index / 4 : (block.warp() + part * block.warps()) * 8;
    step += along_depth ? index % 4 * 8 : block.lane();
    const T* from = data + line * line_stride + step * depth_stride;
    const bool whole = along_depth ? line < lines && step + 8 <= depth : line + 8 <= lines && step < depth;
    if (whole && aligned) return eight_of(from);
    float values[8];
    ORRERY_UNROLL
    for (int i = 0; i < 8; ++i) {
      const bool inside = along_depth ? line < lines && step + i < depth : line + i < lines && step < depth;
      values[i] = inside ? to_float(from[i]) : 0.0f;
    }
    return eight_of(values);
  }
  /// Puts it at its place in the tile [kLines][kPitch].
  ORRERY_ON_DEVICE void place(const Block& block, int part, const Eight& eight, BFloat16* tile) const {
    const int index = block.thread + part * kThreads;
    if (depth_stride == 1) {
      *reinterpret_cast<Eight*>(tile + index / 4 * kPitch + index % 4 * 8) = eight;
      return;
    }
    auto* halves = reinterpret_cast<std::uint16_t*>(tile);
    const int line = (block.warp() + part * block.warps()) * 8;
    ORRERY_UNROLL
    for (int i = 0; i < 8; ++i)
      halves[(line + i) * kPitch + block.lane()] = static_cast<std::uint16_t>(eight.pairs[i / 2] >> (i % 2 * 16));
  }
};

using Sums = float[kRowTiles][kColumnTiles][4];

// sums += A's lines from `row` on times B's from `column` on, over the depth [begin, end of both).
template <class A, class B>
ORRERY_ON_DEVICE void add_product(const Block& block, const Lines<A>& a, const Lines<B>& b, std::int64_t row,
                                  std::int64_t column, std::int64_t begin, Sums& sums) {
  auto* left = reinterpret_cast<BFloat16*>(block.memory);
  BFloat16* right = left + kLines * kPitch;
  const int group = block.lane() / 4, pair = block.lane() % 4 * 2;
  const BFloat16* my_rows = left + (block.warp() / 4 * kWarpRows + group) * kPitch + pair;
  const BFloat16* my_columns = right + (block.warp() % 4 * kWarpColumns + group) * kPitch + pair;
  const auto two = [](const BFloat16* from) { return *reinterpret_cast<const std::uint32_t*>(from); };
  Eight next_a[2], next_b[2];
  ORRERY_UNROLL
  for (int part = 0; part < 2; ++part) {
    next_a[part] = a.fetch(block, part, row, begin);
    next_b[part] = b.fetch(block, part, column, begin);
  }
  for (std::int64_t step = begin; step < a.depth; step += kDepth) {
    block.sync();
    ORRERY_UNROLL
    for (int part = 0; part < 2; ++part) {
      a.place(block, part, next_a[part], left);
      b.place(block, part, next_b[part], right);
    }
    block.sync();
    if (step + kDepth < a.depth) ORRERY_UNROLL
    for (int part = 0; part < 2; ++part) {
      next_a[part] = a.fetch(block, part, row, step + kDepth);
      next_b[part] = b.fetch(block, part, column, step + kDepth);
    }
    ORRERY_UNROLL
    for (int k = 0; k < kDepth; k += 16) {
      std::uint32_t columns[kColumnTiles][2];
      ORRERY_UNROLL
      for (int j = 0; j < kColumnTiles; ++j) {
        columns[j][0] = two(my_columns + j * 8 * kPitch + k);
        columns[j][1] = two(my_columns + j * 8 * kPitch + k + 8);
      }
      ORRERY_UNROLL
      for (int i = 0; i < kRowTiles; ++i) {
        const BFloat16* at = my_rows + i * 16 * kPitch + k;
        const std::uint32_t rows[4] = {two(at), two(at + 8 * kPitch), two(at + 8), two(at + 8 * kPitch + 8)};
        ORRERY_UNROLL
        for (int j = 0; j < kColumnTiles; ++j) multiply_add(sums[i][j], rows, columns[j]);
      }
    }
  }
}

// result(row, column, sum) for each of the thread's sums.
template <class Result>
ORRERY_ON_DEVICE void for_each_sum(const Block& block, const Sums& sums, const Result& result) {
  const int group = block.lane() / 4, pair = block.lane() % 4 * 2;
  ORRERY_UNROLL
  for (int i = 0; i < kRowTiles; ++i) ORRERY_UNROLL
  for (int j = 0; j < kColumnTiles; ++j) ORRERY_UNROLL
  for (int s = 0; s < 4; ++s)
    result(block.warp() / 4 * kWarpRows + i * 16 + group + s / 2 * 8,
           block.warp() % 4 * kWarpColumns + j * 8 + pair + s % 2, sums[i][j][s]);
}

// A block finds its expert and its tile of rows in the offsets; blocks beyond the last tile have nothing to do.
template <class B, class C>
struct Grouped {
  Lines<BFloat16> a;  ///< all rows
  Lines<B> b;         ///< the first expert's
  C* c;
  const std::int32_t* offsets;
  std::int64_t experts, expert_stride, row_stride, column_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    std::int64_t tile = block.index / column_tiles, expert = 0, first = 0, last = 0;
    for (; expert < experts; ++expert) {
      first = offsets[expert];
      last = offsets[expert + 1];
      const std::int64_t tiles = (last - first + kLines - 1) / kLines;
      if (tile < tiles) break;
      tile -= tiles;
    }
    if (expert == experts) return;
    Lines<BFloat16> rows = a;
    Lines<B> weights = b;
    rows.lines = last;
    weights.data += expert * expert_stride;
    const std::int64_t row = first + tile * kLines, column = block.index % column_tiles * kLines;
    Sums sums = {};
    add_product(block, rows, weights, row, column, 0, sums);
    for_each_sum(block, sums, [&](std::int64_t r, std::int64_t s, float sum) {
      if (row + r < last && column + s < weights.lines) c[(row + r) * row_stride + column + s] = from_float<C>(sum);
    });
  }
};

// C[e] (+)= A[rows of e]ᵀ·B[rows of e]: a block a tile of an expert's matrix.
template <class C>
struct WeightGrad {
  Lines<BFloat16> a, b;  ///< lines are columns; the depth is all rows
  C* c;
  const std::int32_t* offsets;
  std::int64_t expert_stride, row_stride, row_tiles, column_tiles;
  bool accumulate;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t expert = block.index / (row_tiles * column_tiles),
                       row = block.index / column_tiles % row_tiles * kLines,
                       column = block.index % column_tiles * kLines;
    Lines<BFloat16> left = a, right = b;
    left.depth = right.depth = offsets[expert + 1];
    Sums sums = {};
    add_product(block, left, right, row, column, offsets[expert], sums);
    C* mine = c + expert * expert_stride;
    for_each_sum(block, sums, [&](std::int64_t r, std::int64_t s, float sum) {
      if (row + r >= a.lines || column + s >= b.lines) return;
      C& at = mine[(row + r) * row_stride + column + s];
      at = from_float<C>(accumulate ? to_float(at) + sum : sum);
    });
  }
};

template <class T>
Lines<T> lines_of(const TensorView& view, std::int64_t line_stride, std::int64_t depth_stride, std::int64_t lines,
                  std::int64_t depth, std::int64_t matrix_stride) {
  const std::int64_t longer = depth_stride == 1 ? line_stride : depth_stride;
  const bool aligned =
      longer % 8 == 0 && matrix_stride % 8 == 0 && reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0;
  return {view.as<const T>(), line_stride, depth_stride, lines, depth, aligned};
}

bool has_unit_stride(std::int64_t a, std::int64_t b) { return a == 1 || b == 1; }

// From so many multiplications an expert on cuBLASLt's kernels are worth a launch each and the wait.
constexpr std::int64_t kLargeMatrix = std::int64_t{1} << 20;

const char* refuses(const GroupedMatmulArgs& args) {
  if (args.a.dtype != DType::bf16) return "A is f32";
  if (args.b.shape[1] * args.b.shape[2] >= kLargeMatrix) return "large matrices";
  if (args.c.strides[1] != 1 || !has_unit_stride(args.a.strides[0], args.a.strides[1]) ||
      !has_unit_stride(args.b.strides[1], args.b.strides[2]))
    return "strides";
  return nullptr;
}

void grouped(const GroupedMatmulArgs& args) {
  const std::int64_t rows = args.a.shape[0], k = args.a.shape[1], n = args.c.shape[1], experts = args.b.shape[0];
  if (rows == 0) return;
  const std::int64_t column_tiles = (n + kLines - 1) / kLines, most_tiles = rows / kLines + experts;
  const Lines<BFloat16> a = lines_of<BFloat16>(args.a, args.a.strides[0], args.a.strides[1], rows, k, 0);
  with_float_type(args.b.dtype, [&]<class B>() {
    const Lines<B> b = lines_of<B>(args.b, args.b.strides[2], args.b.strides[1], n, k, args.b.strides[0]);
    with_float_type(args.c.dtype, [&]<class C>() {
      launch_blocks(GroupedMatmulArgs::kOp, most_tiles * column_tiles, kThreads, kBytes,
                    Grouped<B, C>{a, b, args.c.as<C>(), args.offsets.as<const std::int32_t>(), experts,
                                  args.b.strides[0], args.c.strides[0], column_tiles});
    });
  });
}

const char* weight_grad_refuses(const GroupedMatmulWeightGradArgs& args) {
  if (args.a.dtype != DType::bf16 || args.b.dtype != DType::bf16) return "f32";
  if (args.c.shape[1] * args.c.shape[2] >= kLargeMatrix && !args.accumulate) return "large matrices";
  if (args.c.strides[2] != 1 || !has_unit_stride(args.a.strides[0], args.a.strides[1]) ||
      !has_unit_stride(args.b.strides[0], args.b.strides[1]))
    return "strides";
  return nullptr;
}

void weight_grad(const GroupedMatmulWeightGradArgs& args) {
  const std::int64_t rows = args.a.shape[0], k = args.c.shape[1], n = args.c.shape[2];
  const std::int64_t row_tiles = (k + kLines - 1) / kLines, column_tiles = (n + kLines - 1) / kLines;
  with_float_type(args.c.dtype, [&]<class C>() {
    launch_blocks(GroupedMatmulWeightGradArgs::kOp, args.c.shape[0] * row_tiles * column_tiles, kThreads, kBytes,
                  WeightGrad<C>{lines_of<BFloat16>(args.a, args.a.strides[1], args.a.strides[0], k, rows, 0),
                                lines_of<BFloat16>(args.b, args.b.strides[1], args.b.strides[0], n, rows, 0),
                                args.c.as<C>(), args.offsets.as<const std::int32_t>(), args.c.strides[0],
                                args.c.strides[1], row_tiles, column_tiles, args.accumulate});
  });
}

}  // namespace

void add_grouped_tensor_kernels() {
  add_kernel<GroupedMatmulArgs>(Device::cuda, "tensor_cores", grouped, refuses);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cuda, "tensor_cores", weight_grad, weight_grad_refuses);
}

}  // namespace orrery::gpu
