#include "apps/pipeline/video_files.h"

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "video/io/reader.h"

namespace orrery {

namespace fs = std::filesystem;

std::vector<std::string> gather_videos(const std::vector<std::string>& inputs, std::vector<LeftOut>& left_out) {
  std::vector<std::string> out;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input)) {
      out.push_back(input);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(input)) {
      if (entry.is_regular_file() && has_video_extension(entry.path().string()))
        inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    if (inside.empty()) left_out.push_back({input, "the folder has no videos"});
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

}  // namespace orrery
