// RGB frames → 256-colour pictures, each with a palette made for it. Private to video/io.
#pragma once

#include "video/frames/frame.h"
#include "video/io/libav/libav.h"

namespace orrery::libav {

/// FFmpeg's palettegen and paletteuse, a frame at a time: nothing is held back.
class Palette {
 public:
  Palette(int width, int height);
  /// A PAL8 picture; without a time.
  Owned<AVFrame> run(const Frame& frame);

 private:
  Owned<AVFilterGraph> graph_;
  AVFilterContext* source_ = nullptr;
  AVFilterContext* target_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace orrery::libav
