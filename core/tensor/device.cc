#include "core/tensor/device.h"

#include <cstring>

#include "core/base/error.h"
#include "core/ops/backends.h"
#include "kernels/api/device_memory.h"

namespace orrery {

std::string device_refusal(Device device) {
  if (device == Device::cpu) return {};
  ops::ensure_backends();
  const DeviceSlot& slot = device_slot(device);
  return slot.memory ? std::string() : slot.reason;
}

const DeviceMemory& device_memory(Device device) {
  const std::string refusal = device_refusal(device);
  ORRERY_CHECK(refusal.empty(), "device ", name_of(device), ": ", refusal);
  return *device_slot(device).memory;
}

Device device_from_name(const std::string& name) {
  if (name == "auto") return device_refusal(Device::cuda).empty() ? Device::cuda : Device::cpu;
  if (name == "cpu") return Device::cpu;
  ORRERY_CHECK(name == "cuda", "device ", name, ", expected auto, cpu or cuda");
  device_memory(Device::cuda);
  return Device::cuda;
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device == Device::cpu && from_device == Device::cpu) {
    std::memcpy(to, from, bytes);
  } else if (to_device == Device::cpu) {
    device_memory(from_device).to_host(to, from, bytes);
  } else if (from_device == Device::cpu) {
    device_memory(to_device).to_device(to, from, bytes);
  } else {
    device_memory(to_device).within(to, from, bytes);
  }
}

}  // namespace orrery
