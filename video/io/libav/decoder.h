// The decoded pictures of one file's video stream, in presentation order. Private to video/io.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "video/io/libav/libav.h"

namespace orrery::libav {

class Decoder {
 public:
  /// Opens the best video stream of `path` (or of the sequence). Throws InputError naming the file.
  /// `threads`: 0: as many as parallel regions use.
  explicit Decoder(const std::string& path, int threads = 0);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// The next picture, valid until the next call; null at the end or (see damage()) where nothing more can be decoded.
  AVFrame* next();
  /// To the key picture at or before `timestamp` (stream time base); false when the container cannot.
  bool seek(std::int64_t timestamp);

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *format_->streams[index_]; }
  const AVCodecContext& codec() const { return *codec_; }
  bool has_audio() const { return has_audio_; }
  /// What was wrong with the data so far, in a few words; empty if nothing.
  const std::string& damage() const { return damage_; }

 private:
  void open_format(const std::string& path);
  void open_codec(const std::string& path, int threads);
  void note(const std::string& damage);
  void feed();

  AVFormatContext* format_ = nullptr;
  int index_ = -1;
  bool has_audio_ = false, drained_ = false;
  std::atomic<bool> error_logged_{false};
  Owned<AVCodecContext> codec_;
  Owned<AVFrame> frame_;
  Owned<AVPacket> packet_;
  std::string damage_;
};

}  // namespace orrery::libav
