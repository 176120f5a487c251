#include "apps/orrery/interrupt.h"

#include <csignal>

namespace orrery::cli {

namespace {

std::atomic<bool> stop_requested{false};

void on_signal(int number) {
  if (stop_requested.exchange(true)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

}  // namespace

const std::atomic<bool>* stop_on_interrupt() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  return &stop_requested;
}

}  // namespace orrery::cli
