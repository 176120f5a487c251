// The threads of one block as fibers of one CPU thread, with barriers and exchanges between them.
#pragma once

#include <cstdint>

namespace orrery::on_host {

/// Runs entry(context, thread) for thread = 0 … threads − 1 until all have ended.
void run_team(int threads, void* context, void (*entry)(void* context, int thread));

// For the threads of a team.
int lane();
void block_barrier();
/// The value that `lane` of the caller's warp gave.
std::uint64_t warp_exchange(std::uint64_t value, int lane);
unsigned warp_ballot(bool value);
/// The bytes (32 at most) that each lane of the caller's warp gave, lane after lane: to be read until the next barrier.
const void* warp_publish(const void* bytes, int count);

/// Whether threads, blocks and elements run from the last to the first.
bool reverse();
void set_reverse(bool value);

/// Launches since the start.
std::int64_t launches();

/// While one lives a kernel runs: device memory may be touched. Stops the program where the card would refuse the
/// launch.
class Running {
 public:
  Running(const char* op, std::int64_t blocks, int threads, std::int64_t shared);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  /// `shared` bytes that end at a page nobody may touch, filled with NaN.
  unsigned char* fresh_shared() const;

 private:
  std::int64_t shared_;
};

/// Prints "op: message" and aborts.
[[noreturn]] void stop(const char* message);

}  // namespace orrery::on_host
