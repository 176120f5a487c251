// Between libav's pictures and our RGB frames: colour matrix and range as tagged, alpha composited, rotation undone.
// Private to video/io.
#pragma once

#include <cstdint>

#include "video/frames/frame.h"
#include "video/io/libav/libav.h"
#include "video/io/reader.h"

namespace orrery::libav {

/// How stored pictures are turned to stand upright: transpose first, then mirror.
struct Orientation {
  bool transpose = false, mirror_x = false, mirror_y = false;
  bool identity() const { return !transpose && !mirror_x && !mirror_y; }
  /// Degrees clockwise, 0 for a mere mirror.
  int rotation() const;
};

/// From a display matrix (null: identity); angles are taken to the nearest quarter turn.
Orientation orientation_of(const std::int32_t* matrix);
Frame orient(const Frame& frame, Orientation orientation);

/// A frame's rows as lines.
void send_lines(const Frame& frame, const LineSink& sink);

/// Decoded picture → RGB frame of `width` × `height`.
class ToRgb {
 public:
  void run(const AVFrame& in, int width, int height, std::uint32_t background, Frame& out);
  /// The same, row by row.
  void run(const AVFrame& in, int width, int height, std::uint32_t background, const LineSink& sink);

 private:
  bool run_planes(const AVFrame& in, int width, int height, const LineSink& sink);
  void run_scaler(const AVFrame& in, int width, int height, std::uint32_t background, Frame& out);
  void prepare(const AVFrame& in, int width, int height, AVPixelFormat target);

  Owned<SwsContext> scaler_;
  int in_width_ = 0, in_height_ = 0, in_format_ = -1, width_ = 0, height_ = 0;
  int space_ = -1, range_ = -1;
  Frame whole_;            // Of formats that have no lines of their own.
  Owned<AVFrame> target_;  // With the padding that swscale wants.
};

/// RGB frame → picture for an encoder: `out` is allocated as yuv420p (BT.709, limited range, chroma sited left) or
/// 0RGB32. A smaller frame is padded by its last column and row. Our own loops: swscale reads past the end of unpadded
/// rows.
void from_rgb(const Frame& in, AVFrame& out);

}  // namespace orrery::libav
