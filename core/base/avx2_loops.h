// Loops over pixels outside of the kernels, compiled twice: for AVX2 beside the baseline, the same results sooner. A
// loop is an ORRERY_LOOP function, called by a plain one and by an ORRERY_AVX2 one; has_avx2() chooses when it runs.
#pragma once

#define ORRERY_LOOP [[gnu::always_inline]] inline
#if defined(__x86_64__)
#include <immintrin.h>
#define ORRERY_AVX2 [[gnu::target("avx2")]]
#else
#define ORRERY_AVX2
#endif

namespace orrery {

/// Whether this processor has AVX2.
inline bool has_avx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace orrery
