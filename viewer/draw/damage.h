// What of the window changed since the frame before. The window is cut into tiles; a hash stands for all that is drawn
// on a tile: corners and colours of the triangles that may reach it, and the part of a picture that it shows. A tile
// whose hash is the last one's looks as it did.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "video/frames/frame.h"
#include "viewer/draw/pixel_rect.h"

namespace orrery::viewer::draw {

struct Primitive;

/// The picture that a texture holds; none for the letters' texture, which stays what it is.
using PictureOf = std::function<const Frame*(std::uintptr_t texture)>;

class Damage {
 public:
  /// Rectangles that share no pixel and cover all that looks other than in the call before; everything in the first
  /// call, for another size and for another `background`.
  std::vector<PixelRect> changed(const std::vector<Primitive>& primitives, int width, int height,
                                 std::uint32_t background, const PictureOf& picture_of);
  /// The next call finds everything changed.
  void forget() { before_.clear(); }

  static constexpr int kTile = 32;

 private:
  int width_ = 0, height_ = 0;
  std::uint32_t background_ = 0;
  std::vector<std::uint64_t> before_;
};

}  // namespace orrery::viewer::draw
