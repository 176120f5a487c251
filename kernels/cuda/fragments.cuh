// What kernels on tensor cores share.
#pragma once

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

/// Two floats as bf16, the first in the lower half.
ORRERY_ON_DEVICE std::uint32_t pair_of(float first, float second) {
  return from_float<BFloat16>(first).bits | std::uint32_t{from_float<BFloat16>(second).bits} << 16;
}

}  // namespace orrery::gpu
