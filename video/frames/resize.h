// Frames at other sizes.
#pragma once

#include "video/frames/frame.h"

namespace orrery {

/// How pixels between pixels are made. All but nearest work on the stored (sRGB-coded) values, as FFmpeg and viewers
/// do.
enum class Filter {
  nearest,   ///< The pixel whose area holds the centre.
  area,      ///< The mean over the area covered: for making smaller; larger: as bilinear.
  bilinear,  ///< Linear between centres; smaller: widened to the area, so nothing is skipped.
  lanczos,   ///< Lanczos with 3 lobes, widened for making smaller: sharp.
  sharp,     ///< For small native frames made larger: the nearest whole multiple, smoothed only across pixel borders.
};

/// `frame` at `width` × `height` pixels; edges are repeated. Pixel centres lie at half integers. The same result
/// whatever the thread count. Throws InputError for an empty frame or a size below 1x1.
Frame resize(const Frame& frame, int width, int height, Filter filter = Filter::lanczos);

/// The largest size of the same shape (as near as whole pixels allow) that fits into `width` × `height`.
void fit_size(int frame_width, int frame_height, int& width, int& height);

}  // namespace orrery
