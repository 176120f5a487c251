// Frames as the whole toolkit hands them around: 8-bit RGB, row-major, interleaved, top row first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orrery {

/// One picture: `height` rows of `width` pixels of R, G, B bytes (full range, sRGB transfer as stored in the file).
class Frame {
 public:
  Frame() = default;
  Frame(int width, int height, std::uint8_t fill = 0);

  int width() const { return width_; }
  int height() const { return height_; }
  bool empty() const { return pixels_.empty(); }
  /// height · width · 3 bytes.
  std::span<std::uint8_t> bytes() { return pixels_; }
  std::span<const std::uint8_t> bytes() const { return pixels_; }
  /// The three bytes of a pixel; x and y are not checked.
  std::uint8_t* at(int x, int y) {
    return &pixels_[(static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)) * 3];
  }
  const std::uint8_t* at(int x, int y) const { return const_cast<Frame*>(this)->at(x, y); }
  std::uint8_t* row(int y) { return at(0, y); }
  const std::uint8_t* row(int y) const { return at(0, y); }

  bool operator==(const Frame&) const = default;

 private:
  int width_ = 0, height_ = 0;
  std::vector<std::uint8_t> pixels_;
};

/// Frames of one size at one rate. For long videos use the streaming readers and writers instead.
struct Clip {
  double fps = 24;
  std::vector<Frame> frames;
};

}  // namespace orrery
