// What `orrery info` says of a video file.
#pragma once

#include <string>

namespace orrery::cli {

/// Container, size, rate, length, tags and provenance of `path`: lines for people, or one JSON object on stdout.
/// Throws InputError for what is no whole video.
void print_video_info(const std::string& path, bool json);

}  // namespace orrery::cli
