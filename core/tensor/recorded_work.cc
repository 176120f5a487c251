#include "core/tensor/recorded_work.h"

#include "core/tensor/device.h"
#include "kernels/api/device_memory.h"

namespace orrery {

RecordedWork::~RecordedWork() {
  if (recording_ != nullptr) device_memory(device_).forget(recording_);
}

void RecordedWork::run() {
  const DeviceMemory& memory = device_memory(device_);
  if (ran_ && !recorded_ && memory.record != nullptr) {
    recording_ = memory.record([](void* work) { (*static_cast<std::function<void()>*>(work))(); }, &work_);
    recorded_ = true;
  }
  if (recording_ != nullptr) return memory.replay(recording_);
  work_();
  ran_ = true;
}

}  // namespace orrery
