// Stands in for kernels/cuda/device.cuh where the tests compile the kernels as plain C++: the same words, carried out
// on the CPU. Found first because its folder comes first on the include path.
//
// A block's threads are fibers that run in turn from one barrier to the next, forwards or backwards (set_reverse):
// a result that depends on the direction betrays a missing barrier. A barrier that not all threads reach, a launch the
// card would refuse, and memory used outside a kernel or beyond a tensor's end all stop the program with a message.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/api/bfloat16.h"
#include "kernels/api/types.h"
#include "tests/support/cuda_on_host/team.h"

#define ORRERY_ON_DEVICE inline
#define ORRERY_ANYWHERE inline
#define ORRERY_UNROLL

namespace orrery::gpu {

inline constexpr int kWarp = 32;
inline constexpr int kMaxThreads = 256;
inline constexpr std::int64_t kMaxShared = 160 * 1024;

void* scratch(int slot, std::int64_t bytes);

struct Block {
  std::int64_t index;
  int thread, threads;
  unsigned char* memory;

  int lane() const { return thread % kWarp; }
  int warp() const { return thread / kWarp; }
  int warps() const { return threads / kWarp; }
  void sync() const { on_host::block_barrier(); }
};

template <class T>
T shuffle(T value, int lane) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = on_host::warp_exchange(bits, lane);
  T result;
  std::memcpy(&result, &bits, sizeof(T));
  return result;
}
template <class T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, on_host::lane() ^ mask);
}
inline unsigned ballot(bool value) { return on_host::warp_ballot(value); }
inline std::uint32_t float_bits(float value) { return std::bit_cast<std::uint32_t>(value); }
inline void warp_sync() { on_host::warp_ballot(true); }

inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  std::uint32_t mine[6];
  std::memcpy(mine, a, sizeof a);
  std::memcpy(mine + 4, b, sizeof b);
  const auto* all = reinterpret_cast<const std::uint32_t(*)[6]>(on_host::warp_publish(mine, sizeof mine));
  const auto half = [](std::uint32_t pair, int i) {
    return std::bit_cast<float>(i % 2 == 0 ? pair << 16 : pair & 0xFFFF0000u);
  };
  const int group = on_host::lane() / 4, pair = on_host::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = group + i / 2 * 8, column = 2 * pair + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int t = k % 8 / 2;
      c[i] += half(all[row % 8 * 4 + t][row / 8 + k / 8 * 2], k) * half(all[column * 4 + t][4 + k / 8], k);
    }
  }
  warp_sync();
}

template <class W>
W load_as(const void* at) {
  if (reinterpret_cast<std::uintptr_t>(at) % sizeof(W) != 0) on_host::stop("a load that is not aligned");
  W value;
  std::memcpy(&value, at, sizeof(W));
  return value;
}
template <class W>
void store_as(void* at, W value) {
  if (reinterpret_cast<std::uintptr_t>(at) % sizeof(W) != 0) on_host::stop("a store that is not aligned");
  std::memcpy(at, &value, sizeof(W));
}

inline std::uint32_t bf16_pair(float low, float high) {
  return from_float<BFloat16>(low).bits | static_cast<std::uint32_t>(from_float<BFloat16>(high).bits) << 16;
}
/// r = read(rows) of each of four matrices, whose rows the lanes give.
template <class Read>
void read_matrices(std::uint32_t (&r)[2][2], const BFloat16* row, const Read& read) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) on_host::stop("a matrix row that is not aligned");
  const auto* all = static_cast<const BFloat16* const*>(on_host::warp_publish(&row, sizeof row));
  for (int m = 0; m < 4; ++m) r[m / 2][m % 2] = read(all + m * 8);
  warp_sync();
}
inline void load_matrices(std::uint32_t (&r)[2][2], const BFloat16* row) {
  const int g = on_host::lane() / 4, t = on_host::lane() % 4;
  read_matrices(r, row, [&](const BFloat16* const* rows) { return load_as<std::uint32_t>(rows[g] + 2 * t); });
}
inline void load_transposed(std::uint32_t (&r)[2][2], const BFloat16* row) {
  const int g = on_host::lane() / 4, t = on_host::lane() % 4;
  read_matrices(r, row, [&](const BFloat16* const* rows) {
    return rows[2 * t][g].bits | static_cast<std::uint32_t>(rows[2 * t + 1][g].bits) << 16;
  });
}

#ifdef ORRERY_LAUNCH_NOTHING  // all that a card's host does, and nothing that the card does (no_card.cc)
template <class Kernel>
void launch_each(const char*, std::int64_t, const Kernel&) {}
template <class Kernel>
void launch_blocks(const char*, std::int64_t, int, std::int64_t, const Kernel&) {}
#else
template <class Kernel>
void launch_each(const char* op, std::int64_t count, const Kernel& kernel) {
  const on_host::Running running(op, 0, kMaxThreads, 0);
  const bool reverse = on_host::reverse();
  for (std::int64_t i = 0; i < count; ++i) kernel(reverse ? count - 1 - i : i);
}

template <class Kernel>
void launch_blocks(const char* op, std::int64_t blocks, int threads, std::int64_t shared, const Kernel& kernel) {
  if (blocks <= 0) return;
  const on_host::Running running(op, blocks, threads, shared);
  struct Call {
    const Kernel* kernel;
    Block block;
  };
  for (std::int64_t i = 0; i < blocks; ++i) {
    Call call{&kernel, {on_host::reverse() ? blocks - 1 - i : i, 0, threads, running.fresh_shared()}};
    on_host::run_team(threads, &call, [](void* context, int thread) {
      const Call& mine = *static_cast<const Call*>(context);
      Block block = mine.block;
      block.thread = thread;
      (*mine.kernel)(block);
    });
  }
}
#endif

}  // namespace orrery::gpu
