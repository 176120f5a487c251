// Matrix products: cuBLASLt where strides and dtypes allow it, then a kernel of ours for bias and activation; else a
// tiled kernel.
#include <algorithm>
#include <cmath>

#include "kernels/api/matmul.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/blas.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/matrix.h"
#include "kernels/cuda/tile.cuh"

namespace orrery::gpu {

namespace {

ORRERY_ON_DEVICE float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return unary_value<float>(Unary::relu, x, 1, 0);
    case Activation::silu:
      return unary_value<float>(Unary::silu, x, 1, 0);
    case Activation::gelu:
      return unary_value<float>(Unary::gelu, x, 1, 0);
  }
  return x;
}

struct Epilogue {
  Values bias;  ///< without data: none
  std::int64_t bias_stride = 1;
  Activation activation = Activation::none;
  bool accumulate = false;
  ORRERY_ON_DEVICE float operator()(float product, std::int64_t column, const Values& c, std::int64_t at) const {
    if (bias.data) product += bias.load<float>(column * bias_stride);
    if (accumulate) product += c.load<float>(at);
    return activate(activation, product);
  }
};

struct TiledMatmul {
  TileOperand a, b;  ///< of the first batch
  Values c;
  Walk<3> batches;
  Epilogue epilogue;
  std::int64_t m, n, row_stride, column_stride, row_tiles, column_tiles;

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const auto offsets = batches(block.index / (row_tiles * column_tiles));
    const std::int64_t row = block.index / column_tiles % row_tiles * kTile,
                       column = block.index % column_tiles * kTile;
    TileOperand left = a, right = b;
    left.offset = offsets.at[1];
    right.offset = offsets.at[2];
    float sums[4][4] = {};
    add_tile_product(block, left, right, row, column, sums);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        const std::int64_t r = row + block.thread / 16 * 4 + i, s = column + block.thread % 16 * 4 + j;
        if (r >= m || s >= n) continue;
        const std::int64_t at = offsets.at[0] + r * row_stride + s * column_stride;
        c.store<float>(at, epilogue(sums[i][j], s, c, at));
      }
  }
};

// c = epilogue(product), a thread an element.
struct Finish {
  const float* product;  ///< [m, n]
  Values c;
  Epilogue epilogue;
  std::int64_t n, row_stride;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [row, column] = divided(i, n);
    const std::int64_t at = row * row_stride + column;
    c.store<float>(at, epilogue(product[i], column, c, at));
  }
};

// The batch dimensions of c, a and b.
Walk<3> batches_of(const MatmulArgs& args) {
  TensorView c = args.c, a = args.a, b = args.b;
  c.rank = a.rank = b.rank = args.c.rank - 2;
  for (int d = 0; d < c.rank; ++d) {
    if (a.shape[d] == 1) a.strides[d] = 0;
    if (b.shape[d] == 1) b.strides[d] = 0;
  }
  const TensorView* const views[] = {&c, &a, &b};
  Walk<3> walk = make_walk(views);
  if (walk.total == 1)
    for (auto& row : walk.strides) row[0] = row[1] = row[2] = 0;
  return walk;
}

Epilogue epilogue_of(const MatmulArgs& args) {
  return {values_of(args.bias), args.bias ? args.bias.strides[0] : 1, args.activation, args.accumulate};
}

void tiled(const MatmulArgs& args) {
  const int row = args.c.rank - 2, column = args.c.rank - 1;
  const std::int64_t m = args.c.shape[row], n = args.c.shape[column], k = args.a.shape[column];
  const TileOperand a{values_of(args.a), 0, args.a.strides[row], args.a.strides[column], m, k};
  const TileOperand b{values_of(args.b),           0, args.b.strides[row], args.b.strides[column], k, n,
                      args.a.dtype != args.b.dtype};
  const Walk<3> batches = batches_of(args);
  const std::int64_t row_tiles = (m + kTile - 1) / kTile, column_tiles = (n + kTile - 1) / kTile;
  launch_blocks(MatmulArgs::kOp, batches.total * row_tiles * column_tiles, kTileThreads, kTileBytes,
                TiledMatmul{a, b, values_of(args.c), batches, epilogue_of(args), m, n, args.c.strides[row],
                            args.c.strides[column], row_tiles, column_tiles});
}

const char* refuses_blas(const MatmulArgs& args) {
  const int row = args.c.rank - 2, column = args.c.rank - 1;
  if (args.c.numel() == 0 || args.a.shape[column] == 0) return "nothing to multiply";
  if (args.a.dtype == DType::f32 && args.c.dtype == DType::bf16) return "f32 into bf16";
  if (args.c.strides[column] != 1 && args.c.shape[column] != 1) return "C's rows are not contiguous";
  if (!is_matrix(args.a, row, column) || !is_matrix(args.b, row, column)) return "neither stride of an operand is 1";
  return nullptr;
}

void through_blas(const MatmulArgs& args) {
  const int row = args.c.rank - 2, column = args.c.rank - 1;
  const std::int64_t m = args.c.shape[row], n = args.c.shape[column];
  const Walk<3> batches = batches_of(args);
  const bool plain = !args.bias && args.activation == Activation::none;
  float* product = plain ? nullptr : static_cast<float*>(scratch(kScratchPartial, m * n * std::int64_t{sizeof(float)}));
  for (std::int64_t batch = 0; batch < batches.total; ++batch) {
    const auto offsets = batches(batch);
    const MatrixView c = matrix_of(args.c, row, column, offsets.at[0]);
    const MatrixView a = matrix_of(args.a, row, column, offsets.at[1]);
    const MatrixView b = rounded_like(a, matrix_of(args.b, row, column, offsets.at[2]));
    const MatrixView target = plain ? c : MatrixView{product, DType::f32, m, n, n, 1};
    if (!multiply(a, b, target, plain && args.accumulate)) return tiled(args);
    if (plain) continue;
    launch_each(MatmulArgs::kOp, m * n, Finish{product, {c.data, c.dtype}, epilogue_of(args), n, c.row_stride});
  }
}

}  // namespace

void add_matmul_kernels() {
  add_kernel<MatmulArgs>(Device::cuda, "cublaslt", through_blas, refuses_blas);
  add_kernel<MatmulArgs>(Device::cuda, "tiled", tiled);
}

}  // namespace orrery::gpu
