// Work of a device that is queued again and again: recorded once, where the device can do that, so that the host then
// launches all of it at once.
#pragma once

#include <functional>

#include "kernels/api/types.h"

namespace orrery {

/// One thread at a time.
class RecordedWork {
 public:
  /// `work` queues the same kernels with the same arguments each time, and waits for nothing; what it refers to stays
  /// where it is while this lives.
  RecordedWork(Device device, std::function<void()> work) : device_(device), work_(std::move(work)) {}
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

  /// Queues the work. The first time by itself, so that all that it needs is loaded; then recorded.
  void run();

 private:
  Device device_;
  std::function<void()> work_;
  void* recording_ = nullptr;
  bool ran_ = false, recorded_ = false;
};

}  // namespace orrery
