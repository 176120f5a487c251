#include "video/frames/frame_hash.h"

#include <array>

#include "core/base/error.h"

namespace orrery {

void FrameHash::update(const Frame& frame) {
  if (width_ == 0) {
    width_ = frame.width(), height_ = frame.height();
    std::array<std::uint8_t, 8> size;
    for (unsigned i = 0; i < 4; ++i) {
      size[i] = static_cast<std::uint8_t>(static_cast<unsigned>(width_) >> (8 * i));
      size[4 + i] = static_cast<std::uint8_t>(static_cast<unsigned>(height_) >> (8 * i));
    }
    hash_.update(size);
  }
  ORRERY_CHECK(frame.width() == width_ && frame.height() == height_, "[frame_hash] frame is ", frame.width(), "x",
               frame.height(), ", expected ", width_, "x", height_);
  hash_.update(frame.bytes());
}

std::string frames_sha256(std::span<const Frame> frames) {
  FrameHash hash;
  for (const Frame& frame : frames) hash.update(frame);
  return hash.finish();
}

}  // namespace orrery
