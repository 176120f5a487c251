// Processor time of the calling thread: what work costs, whatever else the machine does meanwhile.
#pragma once

#include <ctime>

namespace orrery::viewer {

/// Seconds, from the thread's start.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace orrery::viewer
