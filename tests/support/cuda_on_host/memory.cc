// Each block of memory ends at a page that nobody may touch; the rest of its pages may be touched only while device
// memory is open.
#include "tests/support/cuda_on_host/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "core/ops/backends.h"
#include "kernels/api/device_memory.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/kernels.h"
#include "tests/support/cuda_on_host/team.h"

namespace orrery::on_host {

namespace {

std::size_t page_bytes() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

struct Region {
  unsigned char* begin;
  std::size_t pages;  ///< bytes, without the guard
};

// By what allocate() gave out.
std::map<void*, Region>& regions() {
  static auto* instance = new std::map<void*, Region>;
  return *instance;
}

std::int64_t used = 0;
bool is_open = false;

void protect(const Region& region, int how) {
  if (mprotect(region.begin, region.pages, how) != 0) stop("mprotect failed");
}

void* allocate(std::size_t bytes) {
  const std::size_t page = page_bytes(), rounded = (bytes + 15) / 16 * 16, pages = (rounded + page - 1) / page * page;
  void* mapped = mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<unsigned char*>(mapped);
  std::memset(begin, 0xFF, pages);  // NaN in f32 and bf16
  if (mprotect(begin + pages, page, PROT_NONE) != 0) stop("mprotect failed");
  void* block = begin + pages - rounded;
  const Region region{begin, pages};
  regions()[block] = region;
  used += static_cast<std::int64_t>(bytes);
  if (!is_open) protect(region, PROT_NONE);
  return block;
}

void release(void* block, std::size_t bytes) {
  const auto found = regions().find(block);
  if (found == regions().end()) stop("a block is released that was never allocated");
  munmap(found->second.begin, found->second.pages + page_bytes());
  regions().erase(found);
  used -= static_cast<std::int64_t>(bytes);
}

// Opens the memory for a copy.
struct Opened {
  Opened() { open_device_memory(); }
  ~Opened() { close_device_memory(); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

void copy(void* to, const void* from, std::size_t bytes) {
  const Opened opened;
  std::memmove(to, from, bytes);
}

void zero(void* block, std::size_t bytes) {
  const Opened opened;
  std::memset(block, 0, bytes);
}

}  // namespace

void open_device_memory() {
  is_open = true;
  for (const auto& [block, region] : regions()) protect(region, PROT_READ | PROT_WRITE);
}

void close_device_memory() {
  is_open = false;
  for (const auto& [block, region] : regions()) protect(region, PROT_NONE);
}

std::int64_t device_bytes() { return used; }

void register_cuda_on_host() {
  setenv("CUDA_VISIBLE_DEVICES", "", 1);  // the real back end, where this build has it, then finds no card
  ops::ensure_backends();
  static const DeviceMemory memory{"CUDA on the host", false, allocate, release, copy, copy, copy, zero, [] {}};
  device_slot(Device::cuda).memory = &memory;
  gpu::add_all_kernels();
}

}  // namespace orrery::on_host

namespace orrery::gpu {

void* scratch(int slot, std::int64_t bytes) {
  static void* buffers[kScratchSlots] = {};
  static std::int64_t sizes[kScratchSlots] = {};
  // Never reused, so that a kernel which reads another's leftovers finds NaN.
  if (buffers[slot]) on_host::release(buffers[slot], static_cast<std::size_t>(sizes[slot]));
  sizes[slot] = bytes > 0 ? bytes : 1;
  buffers[slot] = on_host::allocate(static_cast<std::size_t>(sizes[slot]));
  if (!buffers[slot]) on_host::stop("no memory for scratch");
  return buffers[slot];
}

}  // namespace orrery::gpu
