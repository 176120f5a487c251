// Test pictures, scratch folders and comparisons for video/io.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/random.h"
#include "video/frames/frame.h"

namespace orrery::testing {

namespace fs = std::filesystem;

/// A folder that goes away with its contents.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "orrery-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) != nullptr ? pattern : "";
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Smooth colours that move with `index`, with a sharp square that tells frames apart.
inline Frame picture(int width, int height, int index) {
  Frame frame(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* pixel = frame.at(x, y);
      pixel[0] = static_cast<std::uint8_t>(128 + 100 * std::sin(0.11 * x + 0.1 * index));
      pixel[1] = static_cast<std::uint8_t>(128 + 100 * std::cos(0.07 * y - 0.05 * index));
      pixel[2] = static_cast<std::uint8_t>(128 + 90 * std::sin(0.05 * (x + y)));
      if (x >= index * 2 % width && x < index * 2 % width + 6 && y < 6) pixel[0] = pixel[1] = pixel[2] = 250;
    }
  }
  return frame;
}

inline Clip moving_clip(int width, int height, int count, double fps = 24) {
  Clip clip;
  clip.fps = fps;
  for (int i = 0; i < count; ++i) clip.frames.push_back(picture(width, height, i));
  return clip;
}

/// Frame whose grey says its number: 4 levels a number, far apart enough for lossy codecs.
inline Frame numbered(int width, int height, int number) {
  return Frame(width, height, static_cast<std::uint8_t>(16 + 4 * number));
}
inline int number_of(const Frame& frame) {
  double sum = 0;
  for (const std::uint8_t byte : frame.bytes()) sum += byte;
  return static_cast<int>(std::lround((sum / static_cast<double>(frame.bytes().size()) - 16) / 4));
}

inline int largest_difference(const Frame& a, const Frame& b) {
  if (a.width() != b.width() || a.height() != b.height()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.bytes().size(); ++i) largest = std::max(largest, std::abs(a.bytes()[i] - b.bytes()[i]));
  return largest;
}

inline double psnr(const Frame& a, const Frame& b) {
  if (a.width() != b.width() || a.height() != b.height()) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < a.bytes().size(); ++i) {
    const double difference = a.bytes()[i] - b.bytes()[i];
    sum += difference * difference;
  }
  return sum == 0 ? 99 : 10 * std::log10(255.0 * 255 * static_cast<double>(a.bytes().size()) / sum);
}

inline std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void spill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline int files_in(const fs::path& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace orrery::testing
