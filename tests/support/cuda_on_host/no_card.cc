// Device::cuda without a card and without its work: memory is there, copies from and to the host happen, kernels are
// prepared and not run. What a training step then takes is the host's share of it (scripts/measure host_share).
#include <sys/mman.h>

#include <cstring>

#include "kernels/api/device_memory.h"
#include "kernels/cuda/blas.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

namespace {

// Pages come when they are touched: those that only kernels would touch never do.
void* allocate(std::size_t bytes) {
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}
void release(void* block, std::size_t bytes) { munmap(block, bytes); }
void copy(void* to, const void* from, std::size_t bytes) { std::memmove(to, from, bytes); }
void nothing(void*, const void*, std::size_t) {}
void zero(void*, std::size_t) {}

}  // namespace

void* scratch(int slot, std::int64_t bytes) {
  static void* blocks[kScratchSlots] = {};
  static std::int64_t sizes[kScratchSlots] = {};
  if (sizes[slot] < bytes) {
    blocks[slot] = allocate(static_cast<std::size_t>(bytes));
    sizes[slot] = bytes;
  }
  return blocks[slot];
}

bool blas_product(const BlasProduct&) { return true; }

// Before main: the program itself knows nothing of it.
const bool registered = [] {
  static const DeviceMemory memory{"no card", true, allocate, release, copy, copy, nothing, zero, [] {}};
  device_slot(Device::cuda).memory = &memory;
  add_all_kernels();
  return true;
}();

}  // namespace orrery::gpu
