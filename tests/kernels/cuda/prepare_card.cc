#include <cstdio>

#include "core/tensor/device.h"
#include "tests/kernels/cuda/prepare.h"
#include "tests/support/device_under_test.h"

namespace orrery::test {

bool prepare_device() {
  const std::string refusal = device_refusal(Device::cuda);
  if (!refusal.empty()) {
    std::printf("skipped: device cuda: %s\n", refusal.c_str());
    return false;
  }
  device_under_test() = Device::cuda;
  return true;
}

}  // namespace orrery::test
