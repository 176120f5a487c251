#include "video/io/libav/decoder.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "video/io/container.h"

namespace orrery::libav {
namespace {

// Text files that FFmpeg would draw as a terminal's picture are no videos to us.
bool is_text_art(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

const AVCodec* find_decoder(const AVStream& stream) {
  // FFmpeg's own VP8 and VP9 decoders leave the alpha plane out.
  const AVDictionaryEntry* mode = av_dict_get(stream.metadata, "alpha_mode", nullptr, 0);
  if (mode != nullptr && std::strcmp(mode->value, "1") == 0) {
    const char* name = stream.codecpar->codec_id == AV_CODEC_ID_VP9   ? "libvpx-vp9"
                       : stream.codecpar->codec_id == AV_CODEC_ID_VP8 ? "libvpx"
                                                                      : nullptr;
    const AVCodec* codec = name != nullptr ? avcodec_find_decoder_by_name(name) : nullptr;
    if (codec != nullptr) return codec;
  }
  return avcodec_find_decoder(stream.codecpar->codec_id);
}

}  // namespace

Decoder::Decoder(const std::string& path, int threads) : frame_(new_frame()), packet_(new_packet()) {
  redirect_log();
  try {
    open_format(path);
    open_codec(path, threads);
  } catch (...) {
    codec_.reset();
    avformat_close_input(&format_);
    throw;
  }
}

Decoder::~Decoder() {
  codec_.reset();
  avformat_close_input(&format_);
}

void Decoder::open_format(const std::string& path) {
  const bool sequence = container::is_sequence(path);
  container::check_readable(sequence && !std::filesystem::exists(container::sequence_name(path, 0))
                                ? container::sequence_name(path, 1)
                            : sequence ? container::sequence_name(path, 0)
                                       : path);
  Dictionary options;
  options.set("protocol_whitelist", "file");  // A playlist must not reach into the network.
  const AVInputFormat* wanted = nullptr;
  if (sequence) {
    wanted = av_find_input_format("image2");
    options.set("pattern_type", "sequence");
  } else {
    options.set("pattern_type", "none");
  }
  int status = avformat_open_input(&format_, ("file:" + path).c_str(), wanted, options.address());
  ORRERY_CHECK(status >= 0, "[video] ", path, ": not a video: ", describe(status));
  status = avformat_find_stream_info(format_, nullptr);
  ORRERY_CHECK(status >= 0, "[video] ", path, ": not a video: ", describe(status));
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (format_->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) has_audio_ = true;
  }
  index_ = av_find_best_stream(format_, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  const bool cover = index_ >= 0 && (stream().disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
  ORRERY_CHECK(index_ >= 0 && !(cover && has_audio_), "[video] ", path, ": has no video stream",
               has_audio_ ? " (audio only)" : "");
  ORRERY_CHECK(!is_text_art(stream().codecpar->codec_id), "[video] ", path, ": not a video: it is text");
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != index_) format_->streams[i]->discard = AVDISCARD_ALL;
  }
}

void Decoder::open_codec(const std::string& path, int threads) {
  const AVCodec* codec = find_decoder(stream());
  ORRERY_CHECK(codec != nullptr, "[video] ", path, ": no decoder for ", avcodec_get_name(stream().codecpar->codec_id));
  codec_.reset(avcodec_alloc_context3(codec));
  ORRERY_ASSERT(codec_ != nullptr, "[video] out of memory");
  int status = avcodec_parameters_to_context(codec_.get(), stream().codecpar);
  ORRERY_CHECK(status >= 0, "[video] ", path, ": ", describe(status));
  // FFV1 conceals a slice whose checksum is wrong and only logs it; others' error lines may be harmless.
  if (codec->id == AV_CODEC_ID_FFV1) codec_->opaque = &error_logged_;
  codec_->pkt_timebase = stream().time_base;
  codec_->thread_count = std::min(threads > 0 ? threads : thread_count(), 16);
  status = avcodec_open2(codec_.get(), codec, nullptr);
  ORRERY_CHECK(status >= 0, "[video] ", path, ": the ", codec->name, " decoder cannot open it: ", describe(status));
}

void Decoder::note(const std::string& damage) {
  if (damage_.empty()) damage_ = damage;
}

void Decoder::feed() {
  for (;;) {
    const int status = av_read_frame(format_, packet_.get());
    if (status == AVERROR(EAGAIN)) continue;
    if (status < 0) {
      if (status != AVERROR_EOF) note("reading fails: " + describe(status));
      avcodec_send_packet(codec_.get(), nullptr);
      drained_ = true;
      return;
    }
    if (packet_->stream_index == index_) break;
    av_packet_unref(packet_.get());
  }
  if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) note("a packet is cut short or corrupt");
  const int status = avcodec_send_packet(codec_.get(), packet_.get());
  av_packet_unref(packet_.get());
  if (status < 0 && status != AVERROR(EAGAIN)) note("decoding fails: " + describe(status));
}

AVFrame* Decoder::next() {
  for (;;) {
    const int status = avcodec_receive_frame(codec_.get(), frame_.get());
    if (status == 0) {
      if (frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
        note("a picture is corrupt");
      }
      if (error_logged_) note("a picture's checksum is wrong");
      return frame_.get();
    }
    if (status == AVERROR_EOF) return nullptr;
    if (status != AVERROR(EAGAIN)) {
      note("decoding fails: " + describe(status));
    }
    if (drained_) return nullptr;
    feed();
  }
}

bool Decoder::seek(std::int64_t timestamp) {
  if (av_seek_frame(format_, index_, timestamp, AVSEEK_FLAG_BACKWARD) < 0) return false;
  avcodec_flush_buffers(codec_.get());
  drained_ = false;
  return true;
}

}  // namespace orrery::libav
