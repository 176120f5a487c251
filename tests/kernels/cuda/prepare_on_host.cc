#include "tests/kernels/cuda/prepare.h"
#include "tests/support/cuda_on_host/memory.h"
#include "tests/support/cuda_on_host/team.h"
#include "tests/support/device_under_test.h"

namespace orrery::test {

bool prepare_device() {
  on_host::register_cuda_on_host();
  device_under_test() = Device::cuda;
  before_rerun() = [] { on_host::set_reverse(!on_host::reverse()); };
  return true;
}

}  // namespace orrery::test
