#include "apps/pipeline/shipped_folder.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "core/base/error.h"

namespace orrery::pipeline {

namespace fs = std::filesystem;

std::string shipped_folder(const std::string& name, const std::string& file, const std::string& otherwise) {
  std::vector<fs::path> places{fs::path(ORRERY_SOURCE_DIR) / "models" / name};
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (!error) places.push_back(self.parent_path().parent_path() / "share/orrery/models" / name);
  std::string looked;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place / file, error)) return place.string();
    looked += (looked.empty() ? "" : " and ") + place.string();
  }
  throw InputError("no model: looked in " + looked + "; " + otherwise);
}

}  // namespace orrery::pipeline
