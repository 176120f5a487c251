// VideoWriter: the extension's sink, the checks, and the sidecar.
#include "video/io/writer.h"

#include <filesystem>

#include "core/base/error.h"
#include "core/io/files.h"
#include "video/io/container.h"
#include "video/io/sink.h"

namespace orrery {
namespace {

namespace fs = std::filesystem;

constexpr Container kContainers[] = {
    {".mp4", "mp4", "libx264"},   {".m4v", "mp4", "libx264"},      {".mov", "mov", "libx264"},
    {".mkv", "matroska", "ffv1"}, {".webm", "webm", "libvpx-vp9"}, {".gif", "gif", "gif"},
};

std::string extension_of(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return extension;
}

const Container* find_container(const std::string& path) {
  const std::string extension = extension_of(path);
  for (const Container& container : kContainers) {
    if (extension == container.extension) return &container;
  }
  return nullptr;
}

std::unique_ptr<Sink> make_sink(const std::string& path, int width, int height, const WriteOptions& options) {
  if (extension_of(path) == ".png") return make_png_sink(path, width, height, options);
  return make_container_sink(*find_container(path), path, width, height, options);
}

}  // namespace

struct VideoWriter::State {
  std::string path, metadata;
  int width, height;
  bool sidecar;
  std::unique_ptr<Sink> sink;
  std::int64_t frames = 0;
};

VideoWriter::VideoWriter(const std::string& path, int width, int height, const WriteOptions& options) {
  ORRERY_CHECK(can_write_video(path), "[video] cannot write ", path, ": extension is \"", extension_of(path),
               "\", expected .mp4, .mov, .m4v, .mkv, .webm, .gif or .png");
  ORRERY_CHECK(width >= 1 && height >= 1 && width <= 16384 && height <= 16384, "[video] cannot write ", path,
               ": size is ", width, "x", height, ", expected 1x1 to 16384x16384");
  ORRERY_CHECK(options.fps >= 0.001 && options.fps <= 1000, "[video] cannot write ", path, ": fps is ", options.fps,
               ", expected 0.001 to 1000");
  ORRERY_CHECK(options.quality >= 0 && options.quality <= 100, "[video] cannot write ", path, ": quality is ",
               options.quality, ", expected 0 to 100");
  state_.reset(new State{path, options.metadata, width, height, options.sidecar, nullptr, 0});
  state_->sink = make_sink(path, width, height, options);
}

VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;

void VideoWriter::write(const Frame& frame) {
  State& state = *state_;
  ORRERY_CHECK(state.sink != nullptr, "[video] ", state.path, ": frame written after close");
  ORRERY_CHECK(frame.width() == state.width && frame.height() == state.height, "[video] ", state.path, ": frame is ",
               frame.width(), "x", frame.height(), ", expected ", state.width, "x", state.height);
  state.sink->write(frame);
  ++state.frames;
}

void VideoWriter::set_metadata(const std::string& metadata) { state_->metadata = metadata; }

std::int64_t VideoWriter::frames() const { return state_->frames; }

void VideoWriter::close() {
  State& state = *state_;
  if (state.sink == nullptr) return;
  ORRERY_CHECK(state.frames > 0, "[video] cannot write ", state.path, ": no frame was given");
  // The sidecar must be writable before the video appears, and appears after it.
  std::unique_ptr<AtomicFile> sidecar;
  if (state.sidecar && !state.metadata.empty()) {
    sidecar = std::make_unique<AtomicFile>(sidecar_path(state.path));
    sidecar->write(state.metadata);
    sidecar->write("\n");
  }
  state.sink->close(state.metadata);
  state.sink.reset();
  if (sidecar != nullptr) sidecar->commit();
}

void write_video(const std::string& path, const Clip& clip, WriteOptions options) {
  ORRERY_CHECK(!clip.frames.empty(), "[video] cannot write ", path, ": the clip has no frames");
  options.fps = clip.fps;
  VideoWriter writer(path, clip.frames.front().width(), clip.frames.front().height(), options);
  for (const Frame& frame : clip.frames) writer.write(frame);
  writer.close();
}

void write_image(const std::string& path, const Frame& frame, const std::string& metadata) {
  WriteOptions options;
  options.metadata = metadata;
  options.sidecar = false;
  VideoWriter writer(path, frame.width(), frame.height(), options);
  writer.write(frame);
  writer.close();
}

std::string sidecar_path(const std::string& path) {
  const fs::path file(path);
  std::string stem = file.stem().string();
  if (container::is_pattern(stem)) {
    const std::size_t at = stem.find('%');
    stem.erase(at, stem.find('d', at) + 1 - at);
    while (!stem.empty() && (stem.back() == '_' || stem.back() == '-' || stem.back() == '.')) stem.pop_back();
    if (stem.empty()) stem = "frames";
  }
  return (file.parent_path() / (stem + ".json")).string();
}

bool can_write_video(const std::string& path) {
  return extension_of(path) == ".png" || find_container(path) != nullptr;
}

}  // namespace orrery
