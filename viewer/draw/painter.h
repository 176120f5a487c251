// Draws parts of a frame with OpenGL 3.3, to the byte as Dear ImGui's back end would. What costs a software renderer
// most is left out: blending where nothing shows through, looking up white in the letters' texture for a large plain
// rectangle, and what an opaque rectangle hides in the whole part.
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/draw/pixel_rect.h"

struct ImDrawData;

namespace orrery::viewer::draw {

struct Primitive;

class Painter {
 public:
  /// In the current context. Throws InputError when it refuses the shaders.
  Painter();
  ~Painter();
  Painter(const Painter&) = delete;
  Painter& operator=(const Painter&) = delete;

  /// Onto `background` (Dear ImGui's packed colour). Textures other than the letters' are opaque.
  void paint(const ImDrawData& data, const std::vector<Primitive>& primitives, int width, int height,
             std::uint32_t background, std::vector<PixelRect> parts);

 private:
  enum class Kind { blended, plain, picture };
  struct Draw {
    Kind kind;
    std::uintptr_t texture;
    PixelRect scissor;
    std::size_t first, count;
  };
  /// What is to be drawn within `part`; whether that hides the background in all of it.
  bool collect(const std::vector<Primitive>& primitives, const PixelRect& part);
  Kind kind_of(const Primitive& one, long pixels) const;
  void run(const Draw& draw, int height) const;

  std::uint32_t programs_[3] = {}, array_ = 0, vertices_ = 0, indices_ = 0;
  // Of the frame: all vertices in a row, indices of what is drawn, a call each.
  std::vector<std::uint32_t> order_;
  std::vector<Draw> draws_;
};

}  // namespace orrery::viewer::draw
