#include "video/frames/frame.h"

#include "core/base/error.h"

namespace orrery {

Frame::Frame(int width, int height, std::uint8_t fill) : width_(width), height_(height) {
  ORRERY_CHECK(width > 0 && height > 0, "[frame] size is ", width, "x", height, ", expected at least 1x1");
  pixels_.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, fill);
}

}  // namespace orrery
