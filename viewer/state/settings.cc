#include "viewer/state/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/json.h"

namespace orrery::viewer {

namespace fs = std::filesystem;

Settings Settings::read(const std::string& path) {
  Settings settings;
  std::error_code missing;
  if (path.empty() || !fs::exists(path, missing)) return settings;
  try {
    const Json json = Json::read(path);
    const auto texts = [&json](const char* key, std::vector<std::string>& list) {
      const Json* values = json.find(key);
      if (values == nullptr) return;
      for (const Json& value : values->as_array())
        if (list.size() < kMostRecent) list.push_back(value.as_string());
    };
    texts("recent_files", settings.recent_files);
    texts("recent_prompts", settings.recent_prompts);
    if (const Json* dark = json.find("dark")) settings.dark = dark->as_bool();
    if (const Json* panel = json.find("panel")) settings.panel = panel->as_bool();
    const auto size = [&json](const char* key, int& value) {
      if (const Json* given = json.find(key))
        value = static_cast<int>(std::clamp<std::int64_t>(given->as_integer(), 480, 8192));
    };
    size("width", settings.width);
    size("height", settings.height);
  } catch (const Error&) {
    return {};
  }
  return settings;
}

void Settings::write(const std::string& path) const {
  if (path.empty()) return;
  Json json = Json::object({{"recent_files", Json(recent_files)}, {"recent_prompts", Json(recent_prompts)}});
  json.set("dark", dark);
  json.set("panel", panel);
  json.set("width", width);
  json.set("height", height);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  try {
    write_file(path, json.dump(2) + "\n");
  } catch (const Error&) {
    // See the header.
  }
}

void Settings::remember(std::vector<std::string>& list, const std::string& entry) {
  list.erase(std::remove(list.begin(), list.end(), entry), list.end());
  list.insert(list.begin(), entry);
  if (list.size() > kMostRecent) list.resize(kMostRecent);
}

std::string settings_path() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0')
    return std::string(config) + "/orrery/viewer.json";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string(home) + "/.config/orrery/viewer.json";
  return {};
}

}  // namespace orrery::viewer
