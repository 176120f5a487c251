// A pooled allocator for each device. Freed blocks are kept by size class and handed out again, so a steady training
// step maps no fresh pages (fresh mappings cost half of a measured step in page faults).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/api/types.h"

namespace orrery {

/// What the pool holds, in bytes.
struct AllocatorStats {
  std::int64_t live = 0;    ///< handed out now
  std::int64_t cached = 0;  ///< kept for reuse
  std::int64_t peak = 0;    ///< the largest `live` so far
  std::int64_t fresh = 0;   ///< asked of the system since the start
};

/// At least `bytes` of memory, 64-byte aligned, contents undefined. Freed into the pool by the last owner. Thread safe.
/// Throws naming the device where this machine has none or it has no room left.
std::shared_ptr<std::byte> allocate(std::int64_t bytes, Device device = Device::cpu);

AllocatorStats allocator_stats(Device device = Device::cpu);

/// Gives cached blocks back to the system.
void trim_allocator(Device device = Device::cpu);

}  // namespace orrery
