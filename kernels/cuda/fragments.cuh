// Products of bf16 tiles by a warp's matrix instructions (device.cuh has the fragments' layouts). A tile lies in shared
// memory with kLine<kDim> elements a row: 8 neighbouring rows start in different banks. A dim below kDim is filled up
// with zeros.
#pragma once

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

template <int kDim>
inline constexpr int kLine = kDim + 8;
inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// kRows rows on their way into a tile: other work may go on between fetch() and store().
template <int kDim, int kRows, int kThreads>
struct TileCopy {
  static constexpr int kPieces = kDim / 8, kEach = (kRows * kPieces + kThreads - 1) / kThreads;
  struct alignas(16) Piece {
    std::uint32_t words[4];
  };
  Piece pieces[kEach] = {};

  /// Rows first … first + kRows of the matrix `rows`; those outside [begin, end) are 0.
  ORRERY_ON_DEVICE void fetch(int thread, const BFloat16* rows, int first, int begin, int end, int dim) {
    const int column = thread % kPieces * 8;
    ORRERY_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int own = thread / kPieces + i * (kThreads / kPieces), row = first + own;
      pieces[i] = Piece{};
      if (own < kRows && row >= begin && row < end && column < dim)
        pieces[i] = load_as<Piece>(rows + std::int64_t{row} * dim + column);
    }
  }
  ORRERY_ON_DEVICE void store(int thread, BFloat16* tile) const {
    BFloat16* mine = tile + thread % kPieces * 8;
    ORRERY_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int own = thread / kPieces + i * (kThreads / kPieces);
      if (own < kRows) store_as(mine + own * kLine<kDim>, pieces[i]);
    }
  }
};

/// Rows first … first + 16 of the matrix `rows` as left factors; those from `end` on are 0.
template <int kDim>
ORRERY_ON_DEVICE void load_left(std::uint32_t (&a)[kDim / 16][4], const BFloat16* rows, std::int64_t first,
                                std::int64_t end, std::int64_t dim, int lane) {
  ORRERY_UNROLL
  for (int k = 0; k < kDim / 16; ++k) {
    ORRERY_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::int64_t row = first + lane / 4 + i % 2 * 8;
      const int column = k * 16 + lane % 4 * 2 + i / 2 * 8;
      a[k][i] = row < end && column < dim ? load_as<std::uint32_t>(rows + row * dim + column) : 0;
    }
  }
}

/// c [16, 8 · kTiles] += a · tileᵀ.
template <int kDim, int kTiles>
ORRERY_ON_DEVICE void add_scores(float (&c)[kTiles][4], const std::uint32_t (&a)[kDim / 16][4], const BFloat16* tile,
                                 int lane) {
  const BFloat16* mine = tile + (lane / 16 * 8 + lane % 8) * kLine<kDim> + lane / 8 % 2 * 8;
  ORRERY_UNROLL
  for (int n = 0; n < kTiles; n += 2) {
    ORRERY_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      std::uint32_t b[2][2];
      load_matrices(b, mine + n * 8 * kLine<kDim> + k * 16);
      multiply_add(c[n], a[k], b[0]);
      multiply_add(c[n + 1], a[k], b[1]);
    }
  }
}

/// The same for two left factors: c += a · tileᵀ, d += b · tileᵀ, for 16 rows of the tile.
template <int kDim>
ORRERY_ON_DEVICE void add_scores_of_two(float (&c)[2][4], const std::uint32_t (&a)[kDim / 16][4], float (&d)[2][4],
                                        const std::uint32_t (&b)[kDim / 16][4], const BFloat16* tile, int lane) {
  const BFloat16* mine = tile + (lane / 16 * 8 + lane % 8) * kLine<kDim> + lane / 8 % 2 * 8;
  ORRERY_UNROLL
  for (int k = 0; k < kDim / 16; ++k) {
    std::uint32_t right[2][2];
    load_matrices(right, mine + k * 16);
    multiply_add(c[0], a[k], right[0]);
    multiply_add(c[1], a[k], right[1]);
    multiply_add(d[0], b[k], right[0]);
    multiply_add(d[1], b[k], right[1]);
  }
}

/// c [16, kDim] += a [16, 16 · kSteps] · tile.
template <int kDim, int kSteps>
ORRERY_ON_DEVICE void add_rows(float (&c)[kDim / 8][4], const std::uint32_t (&a)[kSteps][4], const BFloat16* tile,
                               int lane) {
  const BFloat16* mine = tile + (lane / 8 % 2 * 8 + lane % 8) * kLine<kDim> + lane / 16 * 8;
  ORRERY_UNROLL
  for (int k = 0; k < kSteps; ++k) {
    ORRERY_UNROLL
    for (int n = 0; n < kDim / 8; n += 2) {
      std::uint32_t b[2][2];
      load_transposed(b, mine + k * 16 * kLine<kDim> + n * 8);
      multiply_add(c[n], a[k], b[0]);
      multiply_add(c[n + 1], a[k], b[1]);
    }
  }
}

/// Results as left factors of the next product, rounded to bf16.
template <int kTiles>
ORRERY_ON_DEVICE void as_left(std::uint32_t (&a)[kTiles / 2][4], const float (&c)[kTiles][4]) {
  ORRERY_UNROLL
  for (int k = 0; k < kTiles / 2; ++k) {
    ORRERY_UNROLL
    for (int i = 0; i < 4; ++i) a[k][i] = bf16_pair(c[2 * k + i / 2][i % 2 * 2], c[2 * k + i / 2][i % 2 * 2 + 1]);
  }
}

/// Sum, or largest, of the four lanes that hold a row of c.
ORRERY_ON_DEVICE float row_sum(float value) {
  value += shuffle_xor(value, 1);
  return value + shuffle_xor(value, 2);
}
ORRERY_ON_DEVICE float row_max(float value) {
  value = fmaxf(value, shuffle_xor(value, 1));
  return fmaxf(value, shuffle_xor(value, 2));
}

/// Writes c · (row g: factor[0], row g + 8: factor[1]) to rows first … of a bf16 matrix that ends at row `end`.
template <int kDim>
ORRERY_ON_DEVICE void store_rows(BFloat16* rows, const float (&c)[kDim / 8][4], const float (&factor)[2],
                                 std::int64_t first, std::int64_t end, std::int64_t dim, int lane) {
  ORRERY_UNROLL
  for (int half = 0; half < 2; ++half) {
    const std::int64_t row = first + lane / 4 + half * 8;
    if (row >= end) continue;
    ORRERY_UNROLL
    for (int n = 0; n < kDim / 8; ++n)
      if (n * 8 < dim)
        store_as(rows + row * dim + n * 8 + lane % 4 * 2,
                 bf16_pair(c[n][half * 2] * factor[half], c[n][half * 2 + 1] * factor[half]));
  }
}

}  // namespace orrery::gpu
