// Muxed files: colour conversion, the encoder with fixed threads and bit-exact flags, and a muxer that writes through
// our own descriptor, so that a full disk is seen at the write that met it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/base/error.h"
#include "core/io/files.h"
#include "video/io/container.h"
#include "video/io/libav/convert.h"
#include "video/io/libav/libav.h"
#include "video/io/libav/palette.h"
#include "video/io/metadata_keys.h"
#include "video/io/sink.h"

namespace orrery {
namespace {

using libav::Owned;

// A fixed count: x264 and libvpx write other bytes for another number of threads.
constexpr int kEncoderThreads = 4;
constexpr int kBufferBytes = 1 << 18;

AVRational rational_fps(double fps) {
  const double whole = std::round(fps);
  if (whole >= 1 && std::fabs(fps - whole) < 1e-9) return {static_cast<int>(whole), 1};
  const double broadcast = std::ceil(fps);
  if (std::fabs(fps - broadcast * 1000 / 1001) < 5e-4) return {static_cast<int>(broadcast) * 1000, 1001};
  return av_d2q(fps, 1000000);
}

class ContainerSink final : public Sink {
 public:
  ContainerSink(const Container& container, const std::string& path, int width, int height, const WriteOptions& options)
      : container_(container), options_(options), path_(path), width_(width), height_(height), file_(path) {
    libav::redirect_log();
    rate_ = rational_fps(options.fps);
    gif_ = std::strcmp(container.encoder, "gif") == 0;
    try {
      open_muxer();
      open_encoder();
    } catch (...) {
      release();
      throw;
    }
  }
  ~ContainerSink() override { release(); }

  void write(const Frame& frame) override {
    if (!header_written_) write_header();
    if (gif_) {
      send(palette_->run(frame).get());
      return;
    }
    const int status = av_frame_make_writable(picture_.get());
    ORRERY_ASSERT(status >= 0, "[video] out of memory");
    libav::from_rgb(frame, *picture_);
    send(picture_.get());
  }

  void close(const std::string& metadata) override {
    set_tags(metadata);
    drain(nullptr);
    ended_ = true;
    check(av_write_trailer(format_));
    avio_flush(format_->pb);
    check(format_->pb->error);
    if (gif_ && !metadata.empty()) append_comment(metadata);
    file_.commit();
  }

 private:
  static int write_bytes(void* self, libav::WriteBytes bytes, int size) {
    const int descriptor = static_cast<ContainerSink*>(self)->file_.descriptor();
    for (int done = 0; done < size;) {
      const ssize_t wrote = ::write(descriptor, bytes + done, static_cast<std::size_t>(size - done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return static_cast<ContainerSink*>(self)->write_error_ = AVERROR(wrote < 0 ? errno : ENOSPC);
      done += static_cast<int>(wrote);
    }
    return size;
  }

  static std::int64_t seek_bytes(void* self, std::int64_t offset, int whence) {
    const int descriptor = static_cast<ContainerSink*>(self)->file_.descriptor();
    if (whence == AVSEEK_SIZE) return AVERROR(ENOSYS);
    const off_t at = lseek(descriptor, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : at;
  }

  // A failed write shows late and under other names (the muxer's buffer): the first reason is the true one.
  void check(int status) {
    if (status >= 0 && write_error_ >= 0) return;
    const int reason = write_error_ < 0 ? write_error_ : status;
    const std::string message = "[video] cannot write " + path_ + ": " + libav::describe(reason);
    if (reason == AVERROR(ENOSPC) || reason == AVERROR(EDQUOT)) throw DiskFullError(message);
    throw Error(message);
  }

  void open_muxer() {
    check(avformat_alloc_output_context2(&format_, nullptr, container_.muxer,
                                         ("file:" + file_.temporary().string()).c_str()));
    format_->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
    ORRERY_ASSERT(buffer != nullptr, "[video] out of memory");
    format_->pb = avio_alloc_context(buffer, kBufferBytes, 1, this, nullptr, write_bytes, seek_bytes);
    if (format_->pb == nullptr) av_free(buffer);
    ORRERY_ASSERT(format_->pb != nullptr, "[video] out of memory");
  }

  void open_encoder() {
    const AVCodec* codec = avcodec_find_encoder_by_name(container_.encoder);
    ORRERY_ASSERT(codec != nullptr, "[video] cannot write ", path_, ": this FFmpeg has no ", container_.encoder,
                  " encoder");
    codec_.reset(avcodec_alloc_context3(codec));
    ORRERY_ASSERT(codec_ != nullptr, "[video] out of memory");
    const bool h264 = codec->id == AV_CODEC_ID_H264;
    const bool ffv1 = codec->id == AV_CODEC_ID_FFV1;
    // H.264 crops 4:2:0 by whole chroma samples only; FFmpeg's FFV1 loses pictures one pixel wide or high.
    codec_->width = h264 ? (width_ + 1) / 2 * 2 : ffv1 ? std::max(width_, 2) : width_;
    codec_->height = h264 ? (height_ + 1) / 2 * 2 : ffv1 ? std::max(height_, 2) : height_;
    codec_->time_base = gif_ ? AVRational{1, 100} : av_inv_q(rate_);
    codec_->framerate = rate_;
    codec_->sample_aspect_ratio = {1, 1};
    codec_->thread_count = kEncoderThreads;
    codec_->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    libav::Dictionary encoder_options;
    choose_settings(encoder_options);
    check(avcodec_open2(codec_.get(), codec, encoder_options.address()));
    if (gif_) {
      palette_ = std::make_unique<libav::Palette>(width_, height_);
      return;
    }
    picture_ = libav::new_frame();
    picture_->format = codec_->pix_fmt;
    picture_->width = codec_->width;
    picture_->height = codec_->height;
    picture_->colorspace = codec_->colorspace;
    picture_->color_range = codec_->color_range;
    picture_->color_primaries = codec_->color_primaries;
    picture_->color_trc = codec_->color_trc;
    picture_->chroma_location = codec_->chroma_sample_location;
    check(av_frame_get_buffer(picture_.get(), 0));
  }

  void choose_settings(libav::Dictionary& options) {
    if (gif_) {
      codec_->pix_fmt = AV_PIX_FMT_PAL8;
      return;
    }
    codec_->color_primaries = AVCOL_PRI_BT709;
    codec_->color_trc = AVCOL_TRC_BT709;
    if (codec_->codec_id == AV_CODEC_ID_FFV1) {
      codec_->pix_fmt = AV_PIX_FMT_0RGB32;
      codec_->colorspace = AVCOL_SPC_RGB;
      codec_->color_range = AVCOL_RANGE_JPEG;
      codec_->gop_size = 1;
      codec_->level = 3;
      codec_->slices = width_ >= 16 && height_ >= 16 ? 4 : 1;
      options.set("slicecrc", "1");
      return;
    }
    codec_->pix_fmt = AV_PIX_FMT_YUV420P;
    codec_->colorspace = AVCOL_SPC_BT709;
    codec_->color_range = AVCOL_RANGE_MPEG;
    codec_->chroma_sample_location = AVCHROMA_LOC_LEFT;
    codec_->gop_size = std::max(1, static_cast<int>(std::lround(2 * options_.fps)));  // Seeks within two seconds.
    if (codec_->codec_id == AV_CODEC_ID_H264) {
      options.set("preset", options_.quick ? "veryfast" : "medium");
      // Else other bytes on another processor, and with AVX-512 even from one run to the next (x264 164's mbtree).
      options.set("x264-params", "cpu-independent=1");
      options.set("crf", std::to_string(std::lround(51 - 0.45 * options_.quality)));
    } else {
      codec_->bit_rate = 0;
      options.set("crf", std::to_string(std::lround(63 - 0.5 * options_.quality)));
      options.set("deadline", "good");
      options.set("cpu-used", "4");
      options.set("row-mt", "1");
    }
  }

  void set_tags(const std::string& metadata) {
    if (!metadata.empty()) av_dict_set(&format_->metadata, kMetadataKey, metadata.c_str(), 0);
    if (codec_->width != width_ || codec_->height != height_) {
      const std::string size = std::to_string(width_) + "x" + std::to_string(height_);
      av_dict_set(&format_->metadata, kSizeKey, size.c_str(), 0);
    }
  }

  void write_header() {
    stream_ = avformat_new_stream(format_, nullptr);
    ORRERY_ASSERT(stream_ != nullptr, "[video] out of memory");
    check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()));
    stream_->time_base = codec_->time_base;
    stream_->avg_frame_rate = rate_;
    stream_->sample_aspect_ratio = {1, 1};
    set_tags(options_.metadata);
    libav::Dictionary options;
    if (std::strcmp(container_.muxer, "mp4") == 0 || std::strcmp(container_.muxer, "mov") == 0) {
      options.set("movflags", "+faststart+use_metadata_tags");
    }
    check(avformat_write_header(format_, options.address()));
    header_written_ = true;
  }

  void send(AVFrame* picture) {
    // GIF counts hundredths: rounding each time, not each duration, keeps the rate true.
    picture->pts = gif_ ? av_rescale_q(sent_, av_inv_q(rate_), codec_->time_base) : sent_;
    picture->pict_type = AV_PICTURE_TYPE_NONE;
    ++sent_;
    drain(picture);
  }

  void drain(AVFrame* picture) {
    check(avcodec_send_frame(codec_.get(), picture));
    Owned<AVPacket> packet = libav::new_packet();
    for (;;) {
      const int status = avcodec_receive_packet(codec_.get(), packet.get());
      if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) return;
      check(status);
      if (packet->duration == 0 && !gif_) packet->duration = 1;
      av_packet_rescale_ts(packet.get(), codec_->time_base, stream_->time_base);
      packet->stream_index = stream_->index;
      check(av_interleaved_write_frame(format_, packet.get()));
      check(format_->pb->error);
    }
  }

  // The muxer writes no comments; they may stand just before the trailer byte.
  void append_comment(const std::string& metadata) {
    const off_t end = lseek(file_.descriptor(), -1, SEEK_END);
    ORRERY_ASSERT(end > 0, "[video] cannot write ", path_, ": ", std::strerror(errno));
    std::vector<std::uint8_t> bytes = container::gif_comment(metadata);
    bytes.push_back(0x3B);
    file_.write(bytes.data(), bytes.size());
  }

  void release() {
    if (format_ == nullptr) return;
    codec_.reset();
    // FFmpeg's GIF muxer keeps a picture back and lets go of it there only; the file is given up anyway.
    if (gif_ && header_written_ && !ended_) av_write_trailer(format_);
    if (format_->pb != nullptr) {
      av_freep(&format_->pb->buffer);
      avio_context_free(&format_->pb);
    }
    avformat_free_context(format_);
    format_ = nullptr;
  }

  Container container_;
  WriteOptions options_;
  std::string path_;
  int width_, height_;
  AtomicFile file_;
  AVRational rate_{24, 1};
  bool gif_ = false, header_written_ = false, ended_ = false;
  int write_error_ = 0;
  std::int64_t sent_ = 0;
  AVFormatContext* format_ = nullptr;
  AVStream* stream_ = nullptr;
  Owned<AVCodecContext> codec_;
  Owned<AVFrame> picture_;
  std::unique_ptr<libav::Palette> palette_;
};

}  // namespace

std::unique_ptr<Sink> make_container_sink(const Container& container, const std::string& path, int width, int height,
                                          const WriteOptions& options) {
  return std::make_unique<ContainerSink>(container, path, width, height, options);
}

}  // namespace orrery
