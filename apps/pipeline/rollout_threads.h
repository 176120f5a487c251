// Threads while one world alone is drawn.
#pragma once

#include <algorithm>

#include "core/base/parallel.h"
#include "core/model/config.h"

namespace orrery::pipeline {

/// The products of a small model's step take microseconds each: threads that meet after each cost more than they bring,
/// and the other core has the codec and the encoder. Results do not depend on it. Until its end.
class RolloutThreads {
 public:
  explicit RolloutThreads(const ModelConfig& config) : before_(thread_count()) {
    constexpr std::int64_t kSmall = 1024;
    set_thread_count(config.hidden_size <= kSmall ? 1 : std::max(1, before_ - 1));
  }
  ~RolloutThreads() { set_thread_count(before_); }
  RolloutThreads(const RolloutThreads&) = delete;
  RolloutThreads& operator=(const RolloutThreads&) = delete;

 private:
  int before_;
};

}  // namespace orrery::pipeline
