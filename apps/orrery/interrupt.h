// Ctrl-C and SIGTERM ask for a stop at the next safe point; a second Ctrl-C ends the process as usual.
#pragma once

#include <atomic>

namespace orrery::cli {

/// Installs the handlers once; the flag turns true at the first signal.
const std::atomic<bool>* stop_on_interrupt();

}  // namespace orrery::cli
