// What is kept from one start to the next: recent files and how the window looked. A small JSON file.
#pragma once

#include <string>
#include <vector>

namespace orrery::viewer {

struct Settings {
  static constexpr std::size_t kMostRecent = 10;

  std::vector<std::string> recent_files, recent_prompts;
  bool dark = true, panel = true;
  int width = 1280, height = 800;

  /// What the file says; the defaults where it is missing or broken (a broken one is no reason not to start).
  static Settings read(const std::string& path);
  /// Best effort: a folder that cannot be written loses the settings, nothing else.
  void write(const std::string& path) const;
  /// To the front of a list, once.
  static void remember(std::vector<std::string>& list, const std::string& entry);
};

/// $XDG_CONFIG_HOME/orrery/viewer.json or ~/.config/orrery/viewer.json; empty without a home.
std::string settings_path();

}  // namespace orrery::viewer
