// ORRERY_SIMD=avx2 or baseline keeps the Highway kernels from using anything better, so that one machine can test the
// paths of lesser ones (oneDNN has ONEDNN_MAX_CPU_ISA for that).
#include <hwy/highway.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/cpu/kernels.h"

namespace orrery {

void limit_simd_from_environment() {
  const char* text = std::getenv("ORRERY_SIMD");
  if (!text || !*text) return;
  const std::string name = text;
  // Better targets have lower bits.
  if (name == "avx2")
    hwy::DisableTargets(HWY_AVX2 - 1);
  else if (name == "baseline")
    hwy::DisableTargets(HWY_STATIC_TARGET - 1);
  else
    throw std::runtime_error("ORRERY_SIMD is \"" + name + "\", expected avx2 or baseline");
}

}  // namespace orrery
