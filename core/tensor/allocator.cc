#include "core/tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "core/base/error.h"
#include "core/tensor/device.h"
#include "kernels/api/device_memory.h"

namespace orrery {

namespace {

constexpr std::size_t kAlignment = 64;

// Size classes: eight steps between powers of two, so at most 12.5% is wasted and shapes that vary a little share.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 1024) return std::max<std::size_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

// Where a pool's fresh blocks come from.
std::byte* take_fresh(const DeviceMemory* memory, std::size_t size) {
  if (memory) return static_cast<std::byte*>(memory->allocate(size));
  return static_cast<std::byte*>(::operator new (size, std::align_val_t{kAlignment}));
}

void drop(const DeviceMemory* memory, std::byte* block, std::size_t size) {
  if (memory) return memory->release(block, size);
  ::operator delete (block, std::align_val_t{kAlignment});
}

class Pool {
 public:
  /// `memory` of a device, or nullptr: the host's.
  explicit Pool(const DeviceMemory* memory) : memory_(memory) {}

  std::byte* take(std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      stats_.live += static_cast<std::int64_t>(size);
      stats_.peak = std::max(stats_.peak, stats_.live);
      auto& blocks = free_[size];
      if (!blocks.empty()) {
        std::byte* block = blocks.back();
        blocks.pop_back();
        stats_.cached -= static_cast<std::int64_t>(size);
        return block;
      }
      stats_.fresh += static_cast<std::int64_t>(size);
    }
    std::byte* block = take_fresh(memory_, size);
    if (block) return block;
    trim();
    block = take_fresh(memory_, size);
    if (block) return block;
    const AllocatorStats now = stats();
    give(nullptr, size);
    throw Error(memory_->description + " has no room for " + std::to_string(size >> 20) + " MiB more beside " +
                std::to_string((now.live - static_cast<std::int64_t>(size)) >> 20) +
                " MiB of tensors: use fewer sequences a batch, or [train] checkpoint = true");
  }

  void give(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    stats_.live -= static_cast<std::int64_t>(size);
    if (!block) return;
    if (memory_ && !memory_->pooled) return drop(memory_, block, size);
    stats_.cached += static_cast<std::int64_t>(size);
    free_[size].push_back(block);
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_)
      for (std::byte* block : blocks) drop(memory_, block, size);
    free_.clear();
    stats_.cached = 0;
  }

  AllocatorStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  const DeviceMemory* memory_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;
  AllocatorStats stats_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool(Device device) {
  static Pool* host = new Pool(nullptr);
  if (device == Device::cpu) return *host;
  static Pool* cuda = new Pool(&device_memory(Device::cuda));
  return *cuda;
}

}  // namespace

std::shared_ptr<std::byte> allocate(std::int64_t bytes, Device device) {
  Pool& from = pool(device);
  const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));
  const bool exact = device != Device::cpu && !device_memory(device).pooled;
  const std::size_t size = exact ? wanted : size_class(wanted);
  return {from.take(size), [&from, size](std::byte* block) { from.give(block, size); }};
}

AllocatorStats allocator_stats(Device device) { return pool(device).stats(); }

void trim_allocator(Device device) { pool(device).trim(); }

}  // namespace orrery
