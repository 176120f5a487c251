#include "video/io/libav/palette.h"

#include "core/base/error.h"

namespace orrery::libav {
namespace {

void check(int status) { ORRERY_ASSERT(status >= 0, "[video] no palette for GIF: ", describe(status)); }

}  // namespace

Palette::Palette(int width, int height) : graph_(avfilter_graph_alloc()) {
  ORRERY_ASSERT(graph_ != nullptr, "[video] out of memory");
  graph_->nb_threads = 1;
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  const std::string description = "buffer@in=video_size=" + size +
                                  ":pix_fmt=rgb24:time_base=1/100:pixel_aspect=1/1,format=bgra,split[a][b];"
                                  "[a]palettegen=stats_mode=single:reserve_transparent=0[p];"
                                  "[b][p]paletteuse=new=1:dither=sierra2_4a,format=pal8,buffersink@out";
  AVFilterInOut* inputs = nullptr;
  AVFilterInOut* outputs = nullptr;
  const int status = avfilter_graph_parse2(graph_.get(), description.c_str(), &inputs, &outputs);
  avfilter_inout_free(&inputs);
  avfilter_inout_free(&outputs);
  check(status);
  check(avfilter_graph_config(graph_.get(), nullptr));
  source_ = avfilter_graph_get_filter(graph_.get(), "buffer@in");
  target_ = avfilter_graph_get_filter(graph_.get(), "buffersink@out");
  ORRERY_ASSERT(source_ != nullptr && target_ != nullptr, "[video] no palette for GIF: filters not found");
}

Owned<AVFrame> Palette::run(const Frame& frame) {
  Owned<AVFrame> picture = new_frame();
  picture->width = frame.width();
  picture->height = frame.height();
  picture->format = AV_PIX_FMT_RGB24;
  picture->pts = count_++;
  check(av_frame_get_buffer(picture.get(), 0));
  av_image_copy_plane(picture->data[0], picture->linesize[0], frame.bytes().data(), frame.width() * 3,
                      frame.width() * 3, frame.height());
  check(av_buffersrc_add_frame(source_, picture.get()));
  Owned<AVFrame> out = new_frame();
  const int status = av_buffersink_get_frame(target_, out.get());
  check(status);
  return out;
}

}  // namespace orrery::libav
