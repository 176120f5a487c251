// Products of bf16 matrices with f32 sums on Intel's AMX tiles, for the fused kernels (Intel SDM vol. 1, ch. 18).
#pragma once

#include <cstdint>

#include "kernels/api/bfloat16.h"

namespace orrery::amx {

/// The processor has tiles for bf16 and the system lets this process use them; false where ORRERY_SIMD asks for less.
bool ready();

/// While one lives, this thread's tiles have the shape that product() needs; then what they had before (oneDNN keeps
/// its own shape between calls).
class Tiles {
 public:
  Tiles();
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

 private:
  alignas(64) unsigned char before_[64];
};

/// Two bf16 values of rows 2i and 2i + 1 of a matrix in one word, the even row in the low half.
inline std::uint32_t pair_of(BFloat16 even, BFloat16 odd) {
  return static_cast<std::uint32_t>(even.bits) | static_cast<std::uint32_t>(odd.bits) << 16;
}

/// C[m][n] (+)= Σ_k A[m][k] · B[k][n] for m < rows, n < columns, k < depth: multiples of 16, 16 and 32. A is row-major;
/// B is pair_of() words, [depth / 2][columns]; strides in elements. The sum over k runs in order, 32 at a time.
void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const BFloat16* a, std::int64_t a_stride,
             const std::uint32_t* b, std::int64_t b_stride, float* c, std::int64_t c_stride, bool add);

}  // namespace orrery::amx
