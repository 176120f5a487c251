// Any bytes as a video file: an InputError, or frames of the size that was said, in order of time. FFmpeg's own faults
// are not ours to find, ours are the container checks, the conversion, times and seeks.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/error.h"
#include "tests/fuzz/fuzz.h"
#include "video/io/reader.h"

namespace {

// One file a process, in memory where the system has such a folder.
const std::string& scratch_file() {
  static const std::string path = [] {
    const char* folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    return std::string(folder) + "/orrery-fuzz-" + std::to_string(getpid());
  }();
  static const int registered = std::atexit([] { unlink(scratch_file().c_str()); });
  FUZZ_EXPECT(registered == 0);
  return path;
}

void read_some(const std::string& path, const orrery::ReadOptions& options) {
  constexpr int kFrames = 20;
  orrery::VideoReader reader(path, options);
  const orrery::VideoInfo info = reader.info();
  FUZZ_EXPECT(info.width > 0 && info.height > 0 && info.fps >= 0);
  orrery::Frame frame;
  double before = -1e18;
  for (int i = 0; i < kFrames && reader.next(frame); ++i) {
    FUZZ_EXPECT(frame.width() == info.width && frame.height() == info.height);
    if (options.fps > 0) FUZZ_EXPECT(reader.time() > before);
    before = reader.time();
  }
  reader.seek(0.1);
  if (reader.next(frame)) FUZZ_EXPECT(frame.width() == info.width && frame.height() == info.height);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string& path = scratch_file();
  std::FILE* file = std::fopen(path.c_str(), "wb");
  FUZZ_EXPECT(file != nullptr);
  if (size > 0) FUZZ_EXPECT(std::fwrite(data, 1, size, file) == size);
  std::fclose(file);
  for (const double fps : {0.0, 10.0}) {
    orrery::ReadOptions options;
    options.fps = fps;
    options.tolerate_damage = true;
    try {
      read_some(path, options);
    } catch (const orrery::InputError&) {
    }
  }
  return 0;
}
