// The back end's list: a line a file of kernels.
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

void add_all_kernels() {
  add_copy_kernels();
  add_elementwise_kernels();
  add_reduce_kernels();
}

}  // namespace orrery::gpu
