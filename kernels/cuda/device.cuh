// The few words in which our kernels are written, for nvcc. A kernel is an object that holds its arguments and is
// called for each element (launch_each) or, cooperatively, by each thread of a block (launch_blocks). The tests have a
// second header of this name that runs the same objects on the CPU (tests/support/cuda_on_host).
#pragma once

#include <cstdint>

#include "kernels/api/bfloat16.h"
#include "kernels/api/types.h"

#define ORRERY_ON_DEVICE inline __device__
#define ORRERY_ANYWHERE inline __host__ __device__
/// Before a loop over an array that is to stay in registers.
#define ORRERY_UNROLL _Pragma("unroll")

namespace orrery::gpu {

inline constexpr int kWarp = 32;
/// Most threads of a block: with 256, any kernel's registers fit.
inline constexpr int kMaxThreads = 256;
/// Most bytes of shared memory that every card since sm_80 gives a block.
inline constexpr std::int64_t kMaxShared = 160 * 1024;

/// The stream in which all our work is queued.
cudaStream_t stream();
/// Throws naming `what` and CUDA's own message unless `status` is success.
void check(cudaError_t status, const char* what);
/// Device memory for a kernel's intermediate values: slot by slot, kept and grown. Valid until the next call for the
/// same slot; stream order protects it.
void* scratch(int slot, std::int64_t bytes);

/// Measures, while one lives, what the device does meanwhile, if the program is profiled (profile.cu). `signature`: the
/// caller's __PRETTY_FUNCTION__, which names its kernel.
class Timed {
 public:
  Timed(const char* op, const char* signature);
  ~Timed();
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  const char *op_, *signature_;
  cudaEvent_t begin_ = nullptr;
};

/// One thread's view of its block.
struct Block {
  std::int64_t index;  ///< of the block
  int thread, threads;
  unsigned char* memory;  ///< shared by the block's threads, 16-byte aligned

  __device__ int lane() const { return thread % kWarp; }
  __device__ int warp() const { return thread / kWarp; }
  __device__ int warps() const { return threads / kWarp; }
  /// Every thread of the block must come here.
  __device__ void sync() const { __syncthreads(); }
};

// Between the 32 threads of a warp, all of which must take part.
template <class T>
__device__ T shuffle(T value, int lane) {
  return __shfl_sync(0xFFFFFFFFu, value, lane);
}
template <class T>
__device__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}
__device__ inline unsigned ballot(bool value) { return __ballot_sync(0xFFFFFFFFu, value); }
/// What one lane wrote before, the others read after.
__device__ inline void warp_sync() { __syncwarp(); }

/// c += a·b by a warp, bf16 into f32: mma.m16n8k16. With g = lane / 4 and t = lane % 4 a lane holds of a (16 × 16) rows
/// g and g + 8 at depths 2t, 2t + 1 and then both rows at 2t + 8, 2t + 9; of b (16 × 8) column g at depths 2t, 2t + 1
/// and 2t + 8, 2t + 9; of c (16 × 8) columns 2t, 2t + 1 of rows g and g + 8. The lower half of a word comes first.
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Two floats rounded to bf16, `low` in the lower half.
__device__ inline std::uint32_t bf16_pair(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/// Four 8 × 8 matrices of shared memory: lane l gives the address of row l % 8 of matrix l / 8, and gets row g, columns
/// 2t and 2t + 1 of each: with g = lane / 4 and t = lane % 4, parts of two right factors b.
__device__ inline void load_matrices(std::uint32_t (&r)[2][2], const BFloat16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0][0]), "=r"(r[0][1]), "=r"(r[1][0]), "=r"(r[1][1])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
/// The same of their transposes: rows 2t and 2t + 1, column g.
__device__ inline void load_transposed(std::uint32_t (&r)[2][2], const BFloat16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0][0]), "=r"(r[0][1]), "=r"(r[1][0]), "=r"(r[1][1])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}

__device__ inline std::uint32_t float_bits(float value) { return __float_as_uint(value); }

/// Memory of any type as a W, to whose size `at` is aligned.
template <class W>
__device__ W load_as(const void* at) {
  return *static_cast<const W*>(at);
}
template <class W>
__device__ void store_as(void* at, W value) {
  *static_cast<W*>(at) = value;
}

template <class Kernel>
__global__ void __launch_bounds__(kMaxThreads) run_each(const Kernel kernel, const std::int64_t count) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) kernel(i);
}

/// Blocks of kMaxThreads whose registers a multiprocessor is to hold at once: the kernel's own kBlocksAtOnce, or 1.
template <class Kernel>
constexpr int blocks_at_once() {
  if constexpr (requires { Kernel::kBlocksAtOnce; })
    return Kernel::kBlocksAtOnce;
  else
    return 1;
}

template <class Kernel>
__global__ void __launch_bounds__(kMaxThreads, blocks_at_once<Kernel>()) run_blocks(const Kernel kernel) {
  extern __shared__ __align__(16) unsigned char memory[];
  kernel(Block{std::int64_t{blockIdx.x}, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x), memory});
}

/// kernel(i) for every i below count, in no order.
template <class Kernel>
void launch_each(const char* op, std::int64_t count, const Kernel& kernel) {
  if (count <= 0) return;
  const Timed timed(op, __PRETTY_FUNCTION__);
  constexpr std::int64_t kMostBlocks = 1 << 16;
  const std::int64_t blocks = (count + kMaxThreads - 1) / kMaxThreads;
  run_each<<<static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks), kMaxThreads, 0, stream()>>>(kernel,
                                                                                                             count);
  check(cudaGetLastError(), op);
}

/// kernel(block) by `threads` (a multiple of 32, at most kMaxThreads) threads of each of `blocks` blocks, which share
/// `shared` bytes (at most kMaxShared).
template <class Kernel>
void launch_blocks(const char* op, std::int64_t blocks, int threads, std::int64_t shared, const Kernel& kernel) {
  if (blocks <= 0) return;
  const Timed timed(op, __PRETTY_FUNCTION__);
  constexpr std::int64_t kMostBlocks = (std::int64_t{1} << 31) - 1, kWithoutAsking = 48 * 1024;
  if (blocks > kMostBlocks || shared > kMaxShared) check(cudaErrorInvalidConfiguration, op);
  if (shared > kWithoutAsking)
    check(
        cudaFuncSetAttribute(run_blocks<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
        op);
  run_blocks<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), static_cast<std::size_t>(shared),
               stream()>>>(kernel);
  check(cudaGetLastError(), op);
}

}  // namespace orrery::gpu
