#include "core/tensor/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace orrery {

namespace {

constexpr std::size_t kAlignment = 64;

// Size classes: eight steps between powers of two, so at most 12.5% is wasted and shapes that vary a little share.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 1024) return std::max<std::size_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
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
    return static_cast<std::byte*>(::operator new (size, std::align_val_t{kAlignment}));
  }

  void give(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    stats_.live -= static_cast<std::int64_t>(size);
    stats_.cached += static_cast<std::int64_t>(size);
    free_[size].push_back(block);
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_)
      for (std::byte* block : blocks) ::operator delete (block, std::align_val_t{kAlignment});
    free_.clear();
    stats_.cached = 0;
  }

  AllocatorStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;
  AllocatorStats stats_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace

std::shared_ptr<std::byte> allocate(std::int64_t bytes) {
  const std::size_t size = size_class(static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1)));
  return {pool().take(size), [size](std::byte* block) { pool().give(block, size); }};
}

AllocatorStats allocator_stats() { return pool().stats(); }

void trim_allocator() { pool().trim(); }

}  // namespace orrery
