// A window whose frame is kept: only what changed is drawn and shown. For software renderers, which take milliseconds
// to fill a window, where GLX can show a part of it (GLX_MESA_copy_sub_buffer leaves the back buffer as it is; a swap
// need not). Elsewhere there is none, and the whole window is drawn each time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "viewer/draw/damage.h"
#include "viewer/draw/painter.h"
#include "viewer/draw/primitives.h"

namespace orrery::viewer::draw {

class KeptWindow {
 public:
  /// For the current context; null where it is not to be used.
  static std::unique_ptr<KeptWindow> make();

  /// Draws what changed since the last call into the back buffer.
  void draw(const ImDrawData& data, int width, int height, std::uint32_t background, const PictureOf& picture_of);
  /// Brings what was drawn to the screen.
  void show();
  /// The next frame is drawn and shown as a whole: what is on the screen may be lost.
  void forget() { damage_.forget(); }
  /// Of the last frame: share of the window that was drawn.
  double drawn_share() const;

 private:
  using CopySubBuffer = void (*)(void* display, unsigned long window, int x, int y, int width, int height);

  KeptWindow(CopySubBuffer copy, void* display, unsigned long window)
      : copy_(copy), display_(display), window_(window) {}

  CopySubBuffer copy_;
  void* display_;
  unsigned long window_;
  Damage damage_;
  Painter painter_;
  std::vector<Primitive> primitives_;
  std::vector<PixelRect> drawn_;
  int width_ = 0, height_ = 0;
};

}  // namespace orrery::viewer::draw
