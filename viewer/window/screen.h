// GLFW's window with its OpenGL context, and textures. Private to viewer/window; vendor types stay in the .cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/state/keys.h"

namespace orrery::viewer {

/// What came in since the last poll().
struct Incoming {
  std::vector<KeyPress> presses;
  std::vector<std::string> dropped;
  bool close = false;
};

class Screen {
 public:
  /// Throws InputError: no display, no OpenGL 3.3.
  Screen(int width, int height, float scale);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Waits for input at most so long.
  Incoming poll(double wait_seconds);
  /// As if a person had done it.
  void inject(const KeyPress& press);
  void inject_text(const std::string& text);
  void inject_pointer(float x, float y, bool down);
  void inject_drop(const std::vector<std::string>& paths);

  void begin_frame(bool dark);
  /// Draws what was laid out; waits until it is drawn, not until it is on the screen.
  void end_frame(bool dark);
  /// Draws the same again, all of it, as end_frame() does where no part of a frame is kept.
  void draw_whole(bool dark);
  /// Share of the window that end_frame() had to draw.
  double drawn_share() const;
  /// The frame that end_frame() drew.
  Frame read() const;
  void show();
  void hide();
  void set_full_screen(bool on);
  void set_title(const std::string& title);
  /// As the constructor takes it: on a screen with small pixels the window has more of them.
  void size(int& width, int& height) const;
  TextureSource& textures();
  /// Screen pixels a layout pixel, with the person's factor.
  float scale() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
