// Device::cuda on the CPU: memory that only kernels and copies may touch, and the registration of all kernels.
#pragma once

#include <cstdint>

namespace orrery::on_host {

/// Makes Device::cuda this: call it before anything asks for the device. A card that is really there is left alone.
void register_cuda_on_host();

void open_device_memory();
void close_device_memory();

/// Bytes of device memory in use.
std::int64_t device_bytes();

}  // namespace orrery::on_host
