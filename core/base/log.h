// Log lines on stderr. Libraries log only at debug and warning; what a user must see is an app's business.
#pragma once

#include <string>

namespace orrery {

enum class LogLevel { debug, info, warning, quiet };

void set_log_level(LogLevel level);
LogLevel log_level();

/// One line, written whole (safe from several threads).
void log(LogLevel level, const std::string& line);
inline void log_debug(const std::string& line) { log(LogLevel::debug, line); }
inline void log_info(const std::string& line) { log(LogLevel::info, line); }
inline void log_warning(const std::string& line) { log(LogLevel::warning, line); }

}  // namespace orrery
