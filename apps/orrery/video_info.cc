#include "apps/orrery/video_info.h"

#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "video/io/reader.h"

namespace orrery::cli {
namespace {

using Json = nlohmann::ordered_json;

// The provenance as JSON; text that is none (another program's tag, a sidecar by hand) as a string.
Json provenance(const std::string& text) {
  if (text.empty()) return nullptr;
  Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_discarded() ? Json(text) : parsed;
}

Json describe(const std::string& path, const VideoInfo& info) {
  std::error_code none;
  const auto bytes = std::filesystem::is_regular_file(path, none) ? std::filesystem::file_size(path, none) : 0;
  return {{"file", path},
          {"container", info.container},
          {"codec", info.codec},
          {"pixel_format", info.pixel_format},
          {"bit_depth", info.bit_depth},
          {"alpha", info.alpha},
          {"width", info.width},
          {"height", info.height},
          {"rotation", info.rotation},
          {"fps", info.fps},
          {"frames", info.frames},
          {"seconds", info.seconds},
          {"audio", info.audio},
          {"bytes", bytes},
          {"tags", info.tags},
          {"metadata", provenance(read_metadata(path))}};
}

void print_lines(const Json& clip, const VideoInfo& info) {
  std::printf("file       %s\n", clip["file"].get<std::string>().c_str());
  std::printf("container  %s, %s, %s, %d bits%s%s\n", info.container.c_str(), info.codec.c_str(),
              info.pixel_format.c_str(), info.bit_depth, info.alpha ? ", alpha" : "", info.audio ? ", with sound" : "");
  std::printf("size       %dx%d%s\n", info.width, info.height,
              info.rotation != 0 ? (", rotated by " + std::to_string(info.rotation) + " degrees").c_str() : "");
  if (info.fps > 0) {
    std::printf("length     %lld frames, %.6g fps, %.4g s\n", static_cast<long long>(info.frames), info.fps,
                info.seconds);
  } else {
    std::printf("length     a still\n");
  }
  const Json& metadata = clip["metadata"];
  if (metadata.is_null()) {
    std::printf("provenance none\n");
  } else {
    std::printf("provenance %s\n",
                metadata.is_string() ? metadata.get<std::string>().c_str() : metadata.dump(2).c_str());
  }
}

}  // namespace

void print_video_info(const std::string& path, bool json) {
  const VideoReader reader(path);
  const Json clip = describe(path, reader.info());
  if (json) {
    // Tags of other programs may be no UTF-8: they must not break the object.
    std::printf("%s\n", clip.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print_lines(clip, reader.info());
  }
}

}  // namespace orrery::cli
