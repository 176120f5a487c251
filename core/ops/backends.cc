// The one file that knows which back ends this build has.
#include "core/ops/backends.h"

#include "kernels/api/backends.h"

namespace orrery::ops {

void ensure_backends() {
  static const bool once = [] {
    register_cpu_kernels();
#ifdef ORRERY_HAS_CUDA
    register_cuda_kernels();
#endif
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace orrery::ops
