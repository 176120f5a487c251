// The products of a mixture of experts. Large bf16 ones go to cuBLASLt expert by expert, which asks the device for the
// offsets; the others to a tiled kernel that reads the offsets itself.
#include <vector>

#include "kernels/api/device_memory.h"
#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matrix.h"
#include "kernels/cuda/tile.cuh"

namespace orrery::gpu {

namespace {

// Below this many multiplications waiting for the offsets costs more than tensor cores save.
constexpr std::int64_t kWorthWaiting = std::int64_t{1} << 26;

// A block finds its expert and its tile of rows in the offsets; blocks beyond the last tile have nothing to do.
struct TiledGrouped {
  TileOperand a, b;  ///< a: all rows; b: the first expert's
  Values c;
  const std::int32_t* offsets;
  std::int64_t experts, expert_stride, n, row_stride, column_stride, column_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    std::int64_t tile = block.index / column_tiles, expert = 0, first = 0, last = 0;
    for (; expert < experts; ++expert) {
      first = offsets[expert];
      last = offsets[expert + 1];
      const std::int64_t tiles = (last - first + kTile - 1) / kTile;
      if (tile < tiles) break;
      tile -= tiles;
    }
    if (expert == experts) return;
    TileOperand left = a, right = b;
    left.rows = last;
    right.offset = expert * expert_stride;
    const std::int64_t row = first + tile * kTile, column = block.index % column_tiles * kTile;
    float sums[4][4] = {};
    add_tile_product(block, left, right, row, column, sums);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        const std::int64_t r = row + block.thread / 16 * 4 + i, s = column + block.thread % 16 * 4 + j;
        if (r < last && s < n) c.store<float>(r * row_stride + s * column_stride, sums[i][j]);
      }
  }
};

void tiled(const GroupedMatmulArgs& args) {
  const std::int64_t rows = args.a.shape[0], k = args.a.shape[1], n = args.c.shape[1], experts = args.b.shape[0];
  if (rows == 0) return;
  const TileOperand a{values_of(args.a), 0, args.a.strides[0], args.a.strides[1], rows, k};
  const TileOperand b{values_of(args.b), 0, args.b.strides[1], args.b.strides[2], k, n, args.a.dtype != args.b.dtype};
  const std::int64_t column_tiles = (n + kTile - 1) / kTile, most_tiles = rows / kTile + experts;
  launch_blocks(GroupedMatmulArgs::kOp, most_tiles * column_tiles, kTileThreads, kTileBytes,
                TiledGrouped{a, b, values_of(args.c), args.offsets.as<const std::int32_t>(), experts, args.b.strides[0],
                             n, args.c.strides[0], args.c.strides[1], column_tiles});
}

// C[e] = A[rows of e]ᵀ·B[rows of e]: a block a tile of an expert's matrix.
struct TiledWeightGrad {
  TileOperand a, b;  ///< a transposed: [k, rows]; b [rows, n]
  Values c;
  const std::int32_t* offsets;
  std::int64_t k, n, expert_stride, row_stride, column_stride, row_tiles, column_tiles;
  bool accumulate;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t expert = block.index / (row_tiles * column_tiles),
                       row = block.index / column_tiles % row_tiles * kTile,
                       column = block.index % column_tiles * kTile;
    const std::int64_t first = offsets[expert], count = offsets[expert + 1] - first;
    TileOperand left = a, right = b;
    left.offset = first * a.column_stride;
    right.offset = first * b.row_stride;
    left.columns = count;
    right.rows = count;
    float sums[4][4] = {};
    add_tile_product(block, left, right, row, column, sums);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        const std::int64_t r = row + block.thread / 16 * 4 + i, s = column + block.thread % 16 * 4 + j;
        if (r >= k || s >= n) continue;
        const std::int64_t at = expert * expert_stride + r * row_stride + s * column_stride;
        c.store<float>(at, sums[i][j] + (accumulate ? c.load<float>(at) : 0.0f));
      }
  }
};

void tiled_weight_grad(const GroupedMatmulWeightGradArgs& args) {
  const std::int64_t rows = args.a.shape[0], k = args.c.shape[1], n = args.c.shape[2];
  const TileOperand a{values_of(args.a), 0, args.a.strides[1], args.a.strides[0], k, rows};
  const TileOperand b{values_of(args.b), 0, args.b.strides[0], args.b.strides[1], rows, n};
  const std::int64_t row_tiles = (k + kTile - 1) / kTile, column_tiles = (n + kTile - 1) / kTile;
  launch_blocks(GroupedMatmulWeightGradArgs::kOp, args.c.shape[0] * row_tiles * column_tiles, kTileThreads, kTileBytes,
                TiledWeightGrad{a, b, values_of(args.c), args.offsets.as<const std::int32_t>(), k, n, args.c.strides[0],
                                args.c.strides[1], args.c.strides[2], row_tiles, column_tiles, args.accumulate});
}

std::vector<std::int32_t> host_offsets(const TensorView& offsets) {
  std::vector<std::int32_t> result(static_cast<std::size_t>(offsets.shape[0]));
  device_slot(Device::cuda).memory->to_host(result.data(), offsets.data, result.size() * sizeof(std::int32_t));
  return result;
}

const char* refuses_blas(const GroupedMatmulArgs& args) {
  if (args.a.dtype != DType::bf16 || args.c.numel() * args.a.shape[1] < kWorthWaiting) return "small, or f32";
  if (args.c.strides[1] != 1 || !is_matrix(args.a, 0, 1) || !is_matrix(args.b, 1, 2)) return "strides";
  return nullptr;
}

void by_expert(const GroupedMatmulArgs& args) {
  const TensorView weights = stack_like(args.a.dtype, args.b);
  const std::vector<std::int32_t> offsets = host_offsets(args.offsets);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const std::int64_t first = offsets[e], count = offsets[e + 1] - first;
    if (count == 0) continue;
    MatrixView a = matrix_of(args.a, 0, 1, first * args.a.strides[0]);
    MatrixView c = matrix_of(args.c, 0, 1, first * args.c.strides[0]);
    a.rows = c.rows = count;
    const MatrixView b = matrix_of(weights, 1, 2, static_cast<std::int64_t>(e) * weights.strides[0]);
    if (!multiply(a, rounded_like(a, b), c, false)) return tiled(args);
  }
}

const char* weight_grad_refuses_blas(const GroupedMatmulWeightGradArgs& args) {
  const bool large = args.a.numel() * args.b.shape[1] >= kWorthWaiting;
  if (args.a.dtype != DType::bf16 || args.b.dtype != DType::bf16 || !large) return "small, or f32";
  if (args.accumulate) return "adds to what is there";
  if (args.c.strides[2] != 1 || !is_matrix(args.a, 0, 1) || !is_matrix(args.b, 0, 1)) return "strides";
  return nullptr;
}

void weight_grad_by_expert(const GroupedMatmulWeightGradArgs& args) {
  const std::vector<std::int32_t> offsets = host_offsets(args.offsets);
  const DeviceMemory& memory = *device_slot(Device::cuda).memory;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const std::int64_t first = offsets[e], count = offsets[e + 1] - first;
    const MatrixView c = matrix_of(args.c, 1, 2, static_cast<std::int64_t>(e) * args.c.strides[0]);
    if (count == 0) {
      memory.zero(c.data, static_cast<std::size_t>(c.rows * c.columns * size_of(c.dtype)));
      continue;
    }
    const MatrixView rows = matrix_of(args.a, 0, 1, first * args.a.strides[0]);
    const MatrixView a{rows.data, rows.dtype, rows.columns, count, rows.column_stride, rows.row_stride};
    MatrixView b = matrix_of(args.b, 0, 1, first * args.b.strides[0]);
    b.rows = count;
    if (!multiply(a, b, c, false)) return tiled_weight_grad(args);
  }
}

}  // namespace

void add_grouped_matmul_kernels() {
  add_kernel<GroupedMatmulArgs>(Device::cuda, "by_expert", by_expert, refuses_blas);
  add_kernel<GroupedMatmulArgs>(Device::cuda, "tiled", tiled);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cuda, "by_expert", weight_grad_by_expert, weight_grad_refuses_blas);
  add_kernel<GroupedMatmulWeightGradArgs>(Device::cuda, "tiled", tiled_weight_grad);
}

}  // namespace orrery::gpu
