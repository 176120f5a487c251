// PNG files: one still, or a numbered sequence whose files all appear when it is closed.
#include <vector>

#include "core/base/error.h"
#include "core/io/files.h"
#include "video/io/container.h"
#include "video/io/libav/libav.h"
#include "video/io/metadata_keys.h"
#include "video/io/sink.h"

namespace orrery {
namespace {

using libav::Owned;

class PngSink final : public Sink {
 public:
  PngSink(const std::string& path, int width, int height, const WriteOptions& options)
      : path_(path), fps_(options.fps), sequence_(container::is_pattern(path)) {
    libav::redirect_log();
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    ORRERY_ASSERT(codec != nullptr, "[video] this FFmpeg has no PNG encoder");
    codec_.reset(avcodec_alloc_context3(codec));
    ORRERY_ASSERT(codec_ != nullptr, "[video] out of memory");
    codec_->width = width;
    codec_->height = height;
    codec_->pix_fmt = AV_PIX_FMT_RGB24;
    codec_->time_base = {1, 1};
    codec_->thread_count = 1;
    codec_->flags |= AV_CODEC_FLAG_BITEXACT;
    const int status = avcodec_open2(codec_.get(), codec, nullptr);
    ORRERY_ASSERT(status >= 0, "[video] PNG encoder: ", libav::describe(status));
    if (!sequence_) files_.push_back(std::make_unique<AtomicFile>(path_));
  }

  void write(const Frame& frame) override {
    ORRERY_CHECK(sequence_ || count_ == 0, "[video] ", path_,
                 ": a second frame for one picture; a sequence needs a number in its name, such as frame_%04d.png");
    ++count_;
    std::vector<std::uint8_t> png = encode(frame);
    if (!sequence_) {
      picture_ = std::move(png);
      return;
    }
    files_.push_back(std::make_unique<AtomicFile>(container::sequence_name(path_, count_)));
    if (count_ == 1) {
      picture_ = std::move(png);  // Its text is known at the end only.
    } else {
      files_.back()->write(png.data(), png.size());
    }
    // Descriptors are few: a file that is written is closed, and renamed later.
    if (count_ > 1) files_.back()->park();
  }

  void close(const std::string& metadata) override {
    if (!metadata.empty()) picture_ = container::png_with_text(picture_, kMetadataKey, metadata);
    if (sequence_) picture_ = container::png_with_text(picture_, kFpsKey, std::to_string(fps_));
    files_.front()->write(picture_.data(), picture_.size());
    for (const auto& file : files_) file->commit();
  }

 private:
  std::vector<std::uint8_t> encode(const Frame& frame) {
    Owned<AVFrame> picture = libav::new_frame();
    picture->width = frame.width();
    picture->height = frame.height();
    picture->format = AV_PIX_FMT_RGB24;
    int status = av_frame_get_buffer(picture.get(), 0);
    ORRERY_ASSERT(status >= 0, "[video] out of memory");
    av_image_copy_plane(picture->data[0], picture->linesize[0], frame.bytes().data(), frame.width() * 3,
                        frame.width() * 3, frame.height());
    picture->pts = count_;
    status = avcodec_send_frame(codec_.get(), picture.get());
    Owned<AVPacket> packet = libav::new_packet();
    if (status >= 0) status = avcodec_receive_packet(codec_.get(), packet.get());
    ORRERY_ASSERT(status >= 0, "[video] PNG encoder: ", libav::describe(status));
    return {packet->data, packet->data + packet->size};
  }

  std::string path_;
  double fps_;
  bool sequence_;
  std::int64_t count_ = 0;
  Owned<AVCodecContext> codec_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::vector<std::uint8_t> picture_;  // The first one's bytes.
};

}  // namespace

std::unique_ptr<Sink> make_png_sink(const std::string& path, int width, int height, const WriteOptions& options) {
  return std::make_unique<PngSink>(path, width, height, options);
}

}  // namespace orrery
