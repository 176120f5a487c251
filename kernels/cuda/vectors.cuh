// Neighbouring elements of a float tensor, 16 bytes at a time.
#pragma once

#include <cstdint>

#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

/// Elements a thread loads at a time where rows are aligned for it.
inline constexpr int kVector = 8;

struct alignas(16) FourWords {
  std::uint32_t words[4];
};
struct alignas(8) TwoWords {
  std::uint32_t words[2];
};
struct alignas(16) FourFloats {
  float values[4];
};

/// kCount (1 or kVector) elements from `at`, which for kVector is 16-byte aligned.
template <int kCount>
ORRERY_ON_DEVICE void load_values(float (&values)[kCount], const float* at) {
  if constexpr (kCount == 1) {
    values[0] = *at;
  } else {
    ORRERY_UNROLL
    for (int i = 0; i < kCount; i += 4) {
      const auto four = load_as<FourFloats>(at + i);
      ORRERY_UNROLL
      for (int k = 0; k < 4; ++k) values[i + k] = four.values[k];
    }
  }
}
template <int kCount>
ORRERY_ON_DEVICE void load_values(float (&values)[kCount], const BFloat16* at) {
  if constexpr (kCount == 1) {
    values[0] = to_float(*at);
  } else {
    static_assert(kCount == 8);
    const auto eight = load_as<FourWords>(at);
    ORRERY_UNROLL
    for (int k = 0; k < kCount; ++k)
      values[k] = to_float(BFloat16{static_cast<std::uint16_t>(eight.words[k / 2] >> k % 2 * 16)});
  }
}

/// Integers: 8-byte aligned for kVector.
template <int kCount>
ORRERY_ON_DEVICE void load_values(float (&values)[kCount], const std::int8_t* at) {
  if constexpr (kCount == 1) {
    values[0] = to_float(*at);
  } else {
    static_assert(kCount == 8);
    const auto eight = load_as<TwoWords>(at);
    ORRERY_UNROLL
    for (int k = 0; k < kCount; ++k)
      values[k] = to_float(static_cast<std::int8_t>(eight.words[k / 4] >> k % 4 * 8 & 0xFF));
  }
}

template <int kCount>
ORRERY_ON_DEVICE void store_values(float* at, const float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    *at = values[0];
  } else {
    ORRERY_UNROLL
    for (int i = 0; i < kCount; i += 4)
      store_as(at + i, FourFloats{{values[i], values[i + 1], values[i + 2], values[i + 3]}});
  }
}
template <int kCount>
ORRERY_ON_DEVICE void store_values(BFloat16* at, const float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    *at = from_float<BFloat16>(values[0]);
  } else {
    static_assert(kCount == 8);
    store_as(at, FourWords{{bf16_pair(values[0], values[1]), bf16_pair(values[2], values[3]),
                            bf16_pair(values[4], values[5]), bf16_pair(values[6], values[7])}});
  }
}

/// Whether all of the memory begins at 16 bytes.
template <class... Pointers>
bool all_aligned(Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

/// Calls body.operator()<T, kCount>() with T the storage type of a float dtype, and kVector for aligned memory whose
/// rows are a multiple of it.
template <class Body>
void with_vectors(DType dtype, std::int64_t row, bool aligned, const Body& body) {
  with_float_type(dtype, [&]<class T>() {
    if (aligned && row % kVector == 0)
      body.template operator()<T, kVector>();
    else
      body.template operator()<T, 1>();
  });
}

}  // namespace orrery::gpu
