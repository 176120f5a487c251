#include "core/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace orrery {

namespace {
std::atomic<bool> bars_enabled{true};
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%lld s", whole);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return text;
}

Progress::Progress(std::string label, std::string unit, std::int64_t total)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_ && terminal_) std::fputc('\n', stderr);
}

void Progress::set_enabled(bool enabled) { bars_enabled = enabled; }

void Progress::update(std::int64_t done, const std::string& note) {
  done_ = done;
  if (!bars_enabled) return;
  const auto now = std::chrono::steady_clock::now();
  const bool finished = total_ > 0 && done_ >= total_;
  if (terminal_) {
    if (!finished && now - last_draw_ < std::chrono::milliseconds(100)) return;
  } else {
    const int tenth = total_ > 0 ? static_cast<int>(done_ * 10 / total_) : 0;
    if (tenth == last_tenth_) return;
    last_tenth_ = tenth;
  }
  last_draw_ = now;
  draw(note);
}

void Progress::draw(const std::string& note) {
  drawn_ = true;
  const double elapsed = std::chrono::duration<double>(last_draw_ - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string line = label_ + " ";
  char text[96];
  if (total_ > 0) {
    if (terminal_) {
      const int filled = static_cast<int>(std::min<std::int64_t>(done_, total_) * 24 / total_);
      line += "[" + std::string(static_cast<size_t>(filled), '#') + std::string(static_cast<size_t>(24 - filled), '.') +
              "] ";
    }
    std::snprintf(text, sizeof text, "%lld/%lld %s", static_cast<long long>(done_), static_cast<long long>(total_),
                  unit_.c_str());
  } else {
    std::snprintf(text, sizeof text, "%lld %s", static_cast<long long>(done_), unit_.c_str());
  }
  line += text;
  std::snprintf(text, sizeof text, ", %.3g/s", rate);
  line += text;
  if (total_ > 0 && rate > 0) line += ", " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
  if (!note.empty()) line += ", " + note;
  if (terminal_) {
    std::fprintf(stderr, "\r%s\033[K", line.c_str());
    std::fflush(stderr);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace orrery
