// The products of a mixture of experts on tensor cores, all experts in one launch that reads the offsets itself: nobody
// waits for them. A block has 128 × 128 results, its warps 64 × 32 each; the next 32 steps of depth are fetched while
// the present ones are multiplied.
#include <algorithm>

#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matrix.h"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kLines = 128, kDepth = 32, kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32, kRowTiles = kWarpRows / 16, kColumnTiles = kWarpColumns / 8;

/// Eight neighbouring bf16.
struct alignas(16) Eight {
  std::uint32_t pairs[4];
};

// An operand as lines (rows of A, columns of B) along the depth that is summed over. Neighbours in memory are steps of
// depth (kAlongDepth), else lines; its tile in shared memory keeps that order, and eight rows of it start in different
// banks.
template <bool kAlongDepth>
struct Lines {
  static constexpr int kPitch = (kAlongDepth ? kDepth : kLines) + 8,
                       kTileSize = (kAlongDepth ? kLines : kDepth) * kPitch;
  static constexpr int kPieces = (kAlongDepth ? kDepth : kLines) / 8;  ///< eights in a row of the tile
  const BFloat16* data;
  std::int64_t stride;  ///< of what are no neighbours
  int lines, depth;     // 32 bits: registers are scarce
  bool aligned;         ///< eights start at multiples of 16 bytes

  /// Part 0 or 1 of what the thread carries of the tile at (line, step).
  ORRERY_ON_DEVICE Eight fetch(int thread, int line, int step) const {
    const int across = thread / kPieces, along = thread % kPieces * 8;
    line += kAlongDepth ? across : along;
    step += kAlongDepth ? along : across;
    const int first = kAlongDepth ? step : line, end = kAlongDepth ? depth : lines;
    const bool inside = kAlongDepth ? line < lines : step < depth;
    const BFloat16* from = data + (kAlongDepth ? line : step) * stride + first;
    if (inside && first + 8 <= end && aligned) return load_as<Eight>(from);
    Eight result{};
    ORRERY_UNROLL
    for (int i = 0; i < 8; ++i)
      if (inside && first + i < end) result.pairs[i / 2] |= std::uint32_t{from[i].bits} << (i % 2 * 16);
    return result;
  }
  static ORRERY_ON_DEVICE void place(int thread, const Eight& eight, BFloat16* tile) {
    store_as(tile + thread / kPieces * kPitch + thread % kPieces * 8, eight);
  }
  /// 16 lines from `line` on, 16 steps from `step` on: of each half of lines both halves of steps, or the other way
  /// round.
  static ORRERY_ON_DEVICE void load(std::uint32_t (&r)[2][2], const BFloat16* tile, int line, int step, int lane,
                                    bool lines_first) {
    const int outer = lane / 16 * 8, inner = lane / 8 % 2 * 8;
    line += lines_first ? outer : inner;
    step += lines_first ? inner : outer;
    if constexpr (kAlongDepth)
      load_matrices(r, tile + (line + lane % 8) * kPitch + step);
    else
      load_transposed(r, tile + (step + lane % 8) * kPitch + line);
  }
};

using Sums = float[kRowTiles][kColumnTiles][4];

template <class A, class B>
constexpr std::int64_t bytes_of() {
  return (A::kTileSize + B::kTileSize) * std::int64_t{sizeof(BFloat16)};
}

// sums += A's lines from `row` on times B's from `column` on, over the depth from `begin` to their end.
template <class A, class B>
ORRERY_ON_DEVICE void add_product(const Block& block, const A& a, const B& b, int row, int column, int begin,
                                  Sums& sums) {
  auto* left = reinterpret_cast<BFloat16*>(block.memory);
  BFloat16* right = left + A::kTileSize;
  const int my_row = block.warp() / 4 * kWarpRows, my_column = block.warp() % 4 * kWarpColumns, lane = block.lane();
  Eight next_a[2], next_b[2];
  const auto fetch = [&](int step) {
    ORRERY_UNROLL
    for (int part = 0; part < 2; ++part) {
      next_a[part] = a.fetch(block.thread + part * kThreads, row, step);
      next_b[part] = b.fetch(block.thread + part * kThreads, column, step);
    }
  };
  fetch(begin);
  for (int step = begin; step < a.depth; step += kDepth) {
    block.sync();
    ORRERY_UNROLL
    for (int part = 0; part < 2; ++part) {
      A::place(block.thread + part * kThreads, next_a[part], left);
      B::place(block.thread + part * kThreads, next_b[part], right);
    }
    block.sync();
    if (step + kDepth < a.depth) fetch(step + kDepth);
    for (int k = 0; k < kDepth; k += 16) {
      std::uint32_t columns[kColumnTiles / 2][2][2];
      ORRERY_UNROLL
      for (int j = 0; j < kColumnTiles / 2; ++j) B::load(columns[j], right, my_column + j * 16, k, lane, true);
      ORRERY_UNROLL
      for (int i = 0; i < kRowTiles; ++i) {
        std::uint32_t r[2][2];
        A::load(r, left, my_row + i * 16, k, lane, false);
        const std::uint32_t rows[4] = {r[0][0], r[0][1], r[1][0], r[1][1]};
        ORRERY_UNROLL
        for (int j = 0; j < kColumnTiles; ++j) multiply_add(sums[i][j], rows, columns[j / 2][j % 2]);
      }
    }
  }
}

struct alignas(8) TwoFloats {
  float first, second;
};

// Writes the block's sums to c at (row, column), up to (rows, columns).
template <class C>
ORRERY_ON_DEVICE void store_sums(const Block& block, const Sums& sums, C* c, std::int64_t row_stride, int row, int rows,
                                 int column, int columns) {
  row += block.warp() / 4 * kWarpRows + block.lane() / 4;
  column += block.warp() % 4 * kWarpColumns + block.lane() % 4 * 2;
  const bool pairs = row_stride % 2 == 0;  // tensors begin at multiples of 16 bytes
  ORRERY_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    ORRERY_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int r = row + i * 16 + half * 8;
      if (r >= rows) continue;
      ORRERY_UNROLL
      for (int j = 0; j < kColumnTiles; ++j) {
        const int s = column + j * 8;
        const float first = sums[i][j][half * 2], second = sums[i][j][half * 2 + 1];
        C* at = c + r * row_stride + s;
        if (pairs && s + 1 < columns) {
          if constexpr (sizeof(C) == sizeof(float))
            store_as(at, TwoFloats{first, second});
          else
            store_as(at, bf16_pair(first, second));
        } else {
          if (s < columns) at[0] = from_float<C>(first);
          if (s + 1 < columns) at[1] = from_float<C>(second);
        }
      }
    }
  }
}

// A block finds its expert and its tile of rows in the offsets; blocks beyond the last tile have nothing to do.
template <class B, class C>
struct Grouped {
  static constexpr int kBlocksAtOnce = 2;
  Lines<true> a;  ///< all rows
  B b;            ///< the first expert's
  C* c;
  const std::int32_t* offsets;
  std::int64_t expert_stride, row_stride;
  int experts, column_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    int tile = static_cast<int>(block.index) / column_tiles, expert = 0, first = 0, last = 0;
    for (; expert < experts; ++expert) {
      first = offsets[expert];
      last = offsets[expert + 1];
      const int tiles = (last - first + kLines - 1) / kLines;
      if (tile < tiles) break;
      tile -= tiles;
    }
    if (expert == experts) return;
    Lines<true> rows = a;
    B weights = b;
    rows.lines = last;
    weights.data += expert * expert_stride;
    const int row = first + tile * kLines, column = static_cast<int>(block.index) % column_tiles * kLines;
    Sums sums = {};
    add_product(block, rows, weights, row, column, 0, sums);
    store_sums(block, sums, c, row_stride, row, last, column, b.lines);
  }
};

// partial[part][e] = A[rows of e's part]ᵀ·B[the same rows]: a block a tile of an expert's matrix.
struct WeightGradParts {
  [[maybe_unused]] static constexpr int kBlocksAtOnce = 2;  // unused as plain C++
  Lines<false> a, b;                                        ///< lines are columns; the depth is all rows
  float* partial;                                           ///< [parts, experts, k, n]
  const std::int32_t* offsets;
  int experts, parts, row_tiles, column_tiles;

  ORRERY_ON_DEVICE int part_of(std::int64_t count, int part) const { return static_cast<int>(count * part / parts); }
  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const int index = static_cast<int>(block.index), column = index % column_tiles * kLines,
              rest = index / column_tiles, row = rest % row_tiles * kLines, part = rest / row_tiles % parts,
              expert = rest / row_tiles / parts;
    const int first = offsets[expert], count = offsets[expert + 1] - first;
    Lines<false> left = a, right = b;
    left.depth = right.depth = first + part_of(count, part + 1);
    Sums sums = {};
    add_product(block, left, right, row, column, first + part_of(count, part), sums);
    store_sums(block, sums, partial + std::int64_t{part * experts + expert} * a.lines * b.lines, b.lines, row, a.lines,
               column, b.lines);
  }
};

struct SumParts {
  const float* partial;
  float* c;
  std::int64_t parts, count;
  bool accumulate;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    float sum = accumulate ? c[i] : 0.0f;
    for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * count + i];
    c[i] = sum;
  }
};

template <bool kAlongDepth>
Lines<kAlongDepth> lines_of(const TensorView& view, std::int64_t stride, std::int64_t lines, std::int64_t depth,
                            std::int64_t matrix_stride = 0) {
  const bool aligned =
      stride % 8 == 0 && matrix_stride % 8 == 0 && reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0;
  return {view.as<const BFloat16>(), stride, static_cast<int>(lines), static_cast<int>(depth), aligned};
}

// From so many weights an expert on cuBLASLt's kernels are worth a launch each and the wait.
constexpr std::int64_t kLargeMatrix = std::int64_t{1} << 20;

const char* refuses(const GroupedMatmulArgs& args) {
  if (args.a.dtype != DType::bf16) return "A is f32";
  if (args.b.shape[1] * args.b.shape[2] >= kLargeMatrix) return "large matrices";
  if (args.c.strides[1] != 1 || args.a.strides[1] != 1 || (args.b.strides[1] != 1 && args.b.strides[2] != 1))
    return "strides";
  if (args.b.dtype != DType::bf16 && !is_dense_stack(args.b)) return "f32 weights with gaps";
  return nullptr;
}

void grouped(const GroupedMatmulArgs& args) {
  const std::int64_t rows = args.a.shape[0], k = args.a.shape[1], n = args.c.shape[1], experts = args.b.shape[0];
  if (rows == 0) return;
  const TensorView weights = stack_like(DType::bf16, args.b);
  const std::int64_t column_tiles = (n + kLines - 1) / kLines, most_tiles = rows / kLines + experts;
  const Lines<true> a = lines_of<true>(args.a, args.a.strides[0], rows, k);
  const auto launch = [&]<class B>(const B& b) {
    with_float_type(args.c.dtype, [&]<class C>() {
      launch_blocks(GroupedMatmulArgs::kOp, most_tiles * column_tiles, kThreads, bytes_of<Lines<true>, B>(),
                    Grouped<B, C>{a, b, args.c.as<C>(), args.offsets.as<const std::int32_t>(), weights.strides[0],
                                  args.c.strides[0], static_cast<int>(experts), static_cast<int>(column_tiles)});
    });
  };
  if (weights.strides[1] == 1)
    launch(lines_of<true>(weights, weights.strides[2], n, k, weights.strides[0]));
  else
    launch(lines_of<false>(weights, weights.strides[1], n, k, weights.strides[0]));
}

const char* weight_grad_refuses(const GroupedMatmulWeightGradArgs& args) {
  if (args.a.dtype != DType::bf16 || args.b.dtype != DType::bf16) return "f32";
  if (args.c.shape[1] * args.c.shape[2] >= kLargeMatrix && !args.accumulate) return "large matrices";
  if (args.a.strides[1] != 1 || args.b.strides[1] != 1) return "strides";
  return nullptr;
}

void weight_grad(const GroupedMatmulWeightGradArgs& args) {
  const std::int64_t rows = args.a.shape[0], experts = args.c.shape[0], k = args.c.shape[1], n = args.c.shape[2],
                     row_tiles = (k + kLines - 1) / kLines, column_tiles = (n + kLines - 1) / kLines;
  constexpr std::int64_t kEnoughBlocks = 528, kMostParts = 16, kRowsAPart = 256;
  const std::int64_t blocks = experts * row_tiles * column_tiles,
                     wanted = (kEnoughBlocks + blocks - 1) / std::max<std::int64_t>(1, blocks),
                     parts = std::clamp<std::int64_t>(std::min(wanted, rows / (kRowsAPart * experts)), 1, kMostParts);
  auto* partial = static_cast<float*>(scratch(kScratchPartial, parts * args.c.numel() * std::int64_t{sizeof(float)}));
  launch_blocks(GroupedMatmulWeightGradArgs::kOp, blocks * parts, kThreads, bytes_of<Lines<false>, Lines<false>>(),
                WeightGradParts{lines_of<false>(args.a, args.a.strides[0], k, rows),
                                lines_of<false>(args.b, args.b.strides[0], n, rows), partial,
                                args.offsets.as<const std::int32_t>(), static_cast<int>(experts),
                                static_cast<int>(parts), static_cast<int>(row_tiles), static_cast<int>(column_tiles)});
  launch_each(GroupedMatmulWeightGradArgs::kOp, args.c.numel(),
              SumParts{partial, args.c.as<float>(), parts, args.c.numel(), args.accumulate});
}

}  // namespace

void add_grouped_tensor_kernels() {
  add_kernel<GroupedMatmulArgs>(Device::cuda, "tensor_cores", grouped, refuses);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cuda, "tensor_cores", weight_grad, weight_grad_refuses);
}

}  // namespace orrery::gpu
