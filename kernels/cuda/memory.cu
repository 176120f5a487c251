// The card: its memory, the stream in which all work is queued, and its errors.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/api/backends.h"
#include "kernels/api/device_memory.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string("[") + what + "] CUDA: " + cudaGetErrorString(status) + " (" +
                           cudaGetErrorName(status) + ")");
}

namespace {

cudaStream_t new_stream() {
  cudaStream_t made = nullptr;
  check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "stream");
  return made;
}

// While a thread records, the stream that takes what it queues.
thread_local cudaStream_t recording_stream = nullptr;

}  // namespace

cudaStream_t stream() {
  static const cudaStream_t instance = new_stream();
  return recording_stream != nullptr ? recording_stream : instance;
}

void* scratch(int slot, std::int64_t bytes) {
  struct Buffer {
    void* data = nullptr;
    std::int64_t bytes = 0;
  };
  static Buffer buffers[kScratchSlots];
  Buffer& buffer = buffers[slot];
  if (buffer.bytes < bytes) {
    if (buffer.data) {
      check(cudaStreamSynchronize(stream()), "scratch");
      check(cudaFree(buffer.data), "scratch");
      buffer = {};
    }
    const std::int64_t grown = bytes + bytes / 4;
    check(cudaMalloc(&buffer.data, static_cast<std::size_t>(grown)), "scratch");
    buffer.bytes = grown;
  }
  return buffer.data;
}

namespace {

void* allocate(std::size_t bytes) {
  void* block = nullptr;
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // clears it: the caller may free and ask again
    return nullptr;
  }
  check(status, "memory");
  return block;
}

// At exit the driver may be gone before the last tensor: its complaint then means nothing.
void release(void* block, std::size_t) { static_cast<void>(cudaFree(block)); }

// Copies to the device go through pinned memory, part by part in turn: from pages of its own the driver would first
// wait for all that is queued. A part is used again when what was queued from it is done.
class Staging {
 public:
  void copy(void* device, const void* host, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto* to = static_cast<unsigned char*>(device);
    const auto* from = static_cast<const unsigned char*>(host);
    while (bytes > 0) {
      if (used_ == kPart) next_part();
      const std::size_t count = std::min(bytes, kPart - used_);
      unsigned char* place = parts_[part_].memory + used_;
      std::memcpy(place, from, count);
      check(cudaMemcpyAsync(to, place, count, cudaMemcpyHostToDevice, stream()), "copy to the device");
      used_ += count;
      to += count;
      from += count;
      bytes -= count;
    }
  }

 private:
  static constexpr std::size_t kPart = std::size_t{8} << 20, kParts = 4;
  struct Part {
    unsigned char* memory = nullptr;
    cudaEvent_t done = nullptr;
  };
  void next_part() {
    const char* what = "pinned memory";
    if (parts_[part_].memory) check(cudaEventRecord(parts_[part_].done, stream()), what);
    part_ = (part_ + 1) % kParts;
    Part& part = parts_[part_];
    if (part.memory) {
      check(cudaEventSynchronize(part.done), what);
    } else {
      check(cudaMallocHost(&part.memory, kPart), what);
      check(cudaEventCreateWithFlags(&part.done, cudaEventDisableTiming), what);
    }
    used_ = 0;
  }

  std::mutex mutex_;
  Part parts_[kParts];
  std::size_t part_ = 0, used_ = kPart;
};

void to_device(void* device, const void* host, std::size_t bytes) {
  const Timed timed("copy to the device", "");
  static auto* staging = new Staging;  // for the program's life
  staging->copy(device, host, bytes);
}

void to_host(void* host, const void* device, std::size_t bytes) {
  const Timed timed("copy to the host", "");
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "copy to the host");
  check(cudaStreamSynchronize(stream()), "copy to the host");
}

void within(void* to, const void* from, std::size_t bytes) {
  const Timed timed("copy on the device", "");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy on the device");
}

void zero(void* block, std::size_t bytes) {
  const Timed timed("zero", "");
  check(cudaMemsetAsync(block, 0, bytes, stream()), "zero");
}

// Events of a profile cannot be recorded.
void* record(void (*work)(void*), void* context) {
  const char* what = "recording";
  if (std::getenv("ORRERY_DEVICE_PROFILE") != nullptr) return nullptr;
  thread_local const cudaStream_t own = new_stream();
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(own, cudaStreamCaptureModeThreadLocal), what);
  recording_stream = own;
  try {
    work(context);
  } catch (...) {
    recording_stream = nullptr;
    static_cast<void>(cudaStreamEndCapture(own, &graph));
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    throw;
  }
  recording_stream = nullptr;
  check(cudaStreamEndCapture(own, &graph), what);
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  check(status, what);
  return executable;
}

void replay(void* recording) { check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), stream()), "replay"); }

void forget(void* recording) { static_cast<void>(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording))); }

void synchronize() { check(cudaStreamSynchronize(stream()), "device"); }

// Why there is no card to use, or nothing.
std::string refusal() {
  int driver = 0, runtime = 0, count = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  if (driver == 0) return "no NVIDIA driver is loaded";
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status == cudaErrorInsufficientDriver)
    return "the driver supports CUDA " + version(driver) + ", this build needs " + version(runtime);
  if (status != cudaSuccess) return std::string("CUDA says: ") + cudaGetErrorString(status);
  if (count == 0) return "no CUDA device is visible";
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "device");
  if (major < 8) return "the card's compute capability is " + std::to_string(major) + ".x, expected 8.0 or newer";
  return {};
}

std::string describe() {
  cudaDeviceProp card{};
  check(cudaGetDeviceProperties(&card, 0), "device");
  char text[384];
  std::snprintf(text, sizeof text, "%s, %.1f GiB, sm_%d%d", card.name,
                static_cast<double>(card.totalGlobalMem) / (1 << 30), card.major, card.minor);
  return text;
}

}  // namespace

}  // namespace orrery::gpu

namespace orrery {

void register_cuda_kernels() {
  static const bool once = [] {
    DeviceSlot& slot = device_slot(Device::cuda);
    slot.reason = gpu::refusal();
    if (!slot.reason.empty()) return false;
    static const DeviceMemory memory{gpu::describe(),  true,         gpu::allocate, gpu::release,
                                     gpu::to_device,   gpu::to_host, gpu::within,   gpu::zero,
                                     gpu::synchronize, gpu::record,  gpu::replay,   gpu::forget};
    slot.memory = &memory;
    gpu::add_all_kernels();
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace orrery
