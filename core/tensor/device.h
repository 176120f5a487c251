// The devices this machine has, and copies between their memories.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/api/types.h"

namespace orrery {

struct DeviceMemory;

/// The memory of a device other than the CPU. Throws InputError saying why when there is no such device here.
const DeviceMemory& device_memory(Device device);

/// Empty when tensors can live on `device`, else why not: "no NVIDIA driver is loaded".
std::string device_refusal(Device device);

/// "auto" (a CUDA device where there is one), "cpu" or "cuda"; throws InputError when it is not to be had.
Device device_from_name(const std::string& name);

/// Copies bytes between memories; the host's are free to change when it returns.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);

}  // namespace orrery
