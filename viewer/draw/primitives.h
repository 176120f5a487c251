// Dear ImGui's draw data taken apart: triangles, and the pairs of them that are upright rectangles, each with the
// pixels that it may reach. Private to viewer/draw.
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/draw/pixel_rect.h"

struct ImDrawData;
struct ImDrawVert;

namespace orrery::viewer::draw {

struct Primitive {
  const ImDrawVert* vertices;
  const unsigned short* indices;
  /// 3 for a triangle; 6 for a rectangle, whose first and third are the upper left and the lower right corner.
  int count;
  /// Of `vertices` in all of the frame's.
  std::uint32_t base;
  std::uintptr_t texture;
  /// Where its command may draw, within the window; the part of it that the primitive may reach.
  PixelRect clip, bounds;

  bool rectangle() const { return count == 6; }
  const ImDrawVert& vertex(int i) const;
};

/// All that reaches the window of so many pixels, from back to front. They point into `data`.
void take_apart(const ImDrawData& data, int width, int height, std::vector<Primitive>& primitives);

}  // namespace orrery::viewer::draw
