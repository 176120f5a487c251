#include "video/io/libav/libav.h"

#include <atomic>
#include <mutex>

#include "core/base/error.h"
#include "core/base/log.h"

namespace orrery::libav {
namespace {

void log_line(void* source, int level, const char* format, va_list arguments) {
  if (source != nullptr && level <= AV_LOG_ERROR && *static_cast<const AVClass**>(source) == avcodec_get_class()) {
    auto* flag = static_cast<std::atomic<bool>*>(static_cast<AVCodecContext*>(source)->opaque);
    if (flag != nullptr) flag->store(true);
  }
  if (level > AV_LOG_WARNING || log_level() != LogLevel::debug) return;
  char line[512];
  int prefix = 1;
  av_log_format_line2(source, level, format, arguments, line, sizeof line, &prefix);
  std::string text(line);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty()) log_debug("libav: " + text);
}

}  // namespace

std::string describe(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  return text;
}

void redirect_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(log_line); });
}

Owned<AVFrame> new_frame() {
  Owned<AVFrame> frame(av_frame_alloc());
  ORRERY_ASSERT(frame != nullptr, "[video] out of memory");
  return frame;
}

Owned<AVPacket> new_packet() {
  Owned<AVPacket> packet(av_packet_alloc());
  ORRERY_ASSERT(packet != nullptr, "[video] out of memory");
  return packet;
}

}  // namespace orrery::libav
