// Memory of a device other than the CPU: a table of functions that its back end fills in when it registers, so that
// core/tensor needs to know no vendor. All work of a device is in one order (a stream): a block that is given back may
// be handed out again at once.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/api/types.h"

namespace orrery {

struct DeviceMemory {
  std::string description;  ///< "NVIDIA H200, 139.8 GiB"
  /// Whether freed blocks are kept and handed out again (core/tensor/allocator).
  bool pooled = true;
  /// At least 256-byte aligned where `pooled`, else 16; nullptr when the device has no room.
  void* (*allocate)(std::size_t bytes) = nullptr;
  void (*release)(void* block, std::size_t bytes) = nullptr;
  /// The host's bytes may change as soon as these return. They throw when the device fails.
  void (*to_device)(void* device, const void* host, std::size_t bytes) = nullptr;
  void (*to_host)(void* host, const void* device, std::size_t bytes) = nullptr;  ///< waits for the device
  void (*within)(void* to, const void* from, std::size_t bytes) = nullptr;
  void (*zero)(void* block, std::size_t bytes) = nullptr;
  /// Waits until all work is done; throws when any of it failed.
  void (*synchronize)() = nullptr;
  /// Records what `work(context)` queues without doing it, or returns nullptr where nothing can be recorded now; other
  /// threads may queue their own work meanwhile. replay() queues it. No `record`: the device cannot.
  void* (*record)(void (*work)(void* context), void* context) = nullptr;
  void (*replay)(void* recording) = nullptr;
  void (*forget)(void* recording) = nullptr;
};

/// What a build and a machine have of a device: its memory, or why there is none.
struct DeviceSlot {
  const DeviceMemory* memory = nullptr;
  std::string reason = "this build has no such back end";
};

inline DeviceSlot& device_slot(Device device) {
  static DeviceSlot slots[kDeviceCount];
  return slots[static_cast<int>(device)];
}

}  // namespace orrery
