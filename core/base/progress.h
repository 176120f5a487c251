// A progress bar on stderr: redrawn in place on a terminal, a plain line every tenth when piped, silent with -q.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace orrery {

class Progress {
 public:
  /// `label` names the work, `unit` what is counted ("frames"); total 0 = unknown.
  Progress(std::string label, std::string unit, std::int64_t total);
  /// Ends the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` is shown behind the bar, e.g. the loss.
  void update(std::int64_t done, const std::string& note = {});

  /// For -q and --json: nothing is drawn by any bar.
  static void set_enabled(bool enabled);

 private:
  void draw(const std::string& note);

  std::string label_, unit_;
  std::int64_t total_, done_ = 0;
  int last_tenth_ = -1;
  bool terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_draw_{};
};

/// "1:02:03", "4:05" or "12 s".
std::string format_duration(double seconds);

}  // namespace orrery
