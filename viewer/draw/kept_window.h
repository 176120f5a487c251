// A window whose frame is kept: only what changed is drawn into it, and when nothing did it is not shown anew. For
// software renderers, which take milliseconds to fill a window and keep the back buffer when they copy it to the
// screen. Elsewhere there is none, and the whole window is drawn each time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "viewer/draw/damage.h"
#include "viewer/draw/painter.h"
#include "viewer/draw/primitives.h"

struct GLFWwindow;

namespace orrery::viewer::draw {

class KeptWindow {
 public:
  /// For the current context, which is the window's; null where it is not to be used.
  static std::unique_ptr<KeptWindow> make(GLFWwindow* window);

  /// Draws what changed since the last call into the back buffer.
  void draw(const ImDrawData& data, int width, int height, std::uint32_t background, const PictureOf& picture_of);
  /// Brings what was drawn to the screen.
  void show();
  /// The next frame is drawn and shown as a whole: what is on the screen may be lost.
  void forget() { damage_.forget(); }
  /// Of the last frame: share of the window that was drawn.
  double drawn_share() const;

 private:
  explicit KeptWindow(GLFWwindow* window) : window_(window) {}

  GLFWwindow* window_;
  Damage damage_;
  Painter painter_;
  std::vector<Primitive> primitives_;
  std::vector<PixelRect> drawn_;
  int width_ = 0, height_ = 0;
};

}  // namespace orrery::viewer::draw
