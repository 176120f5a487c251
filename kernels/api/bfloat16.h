// f32 ↔ bf16, round to nearest even; NaN stays NaN.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/api/types.h"

namespace orrery {

constexpr float to_float(float value) { return value; }
constexpr float to_float(std::int8_t value) { return static_cast<float>(value); }
constexpr float to_float(BFloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }

template <class T>
constexpr T from_float(float value);
template <>
constexpr float from_float<float>(float value) {
  return value;
}
template <>
constexpr BFloat16 from_float<BFloat16>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace orrery
