#include "core/base/log.h"

#include <atomic>
#include <cstdio>

namespace orrery {

namespace {
std::atomic<LogLevel> current_level{LogLevel::info};
}

void set_log_level(LogLevel level) { current_level = level; }
LogLevel log_level() { return current_level; }

void log(LogLevel level, const std::string& line) {
  if (level < current_level.load()) return;
  const std::string text = (level == LogLevel::warning ? "warning: " : "") + line + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace orrery
