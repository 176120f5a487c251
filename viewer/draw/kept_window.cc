#include "viewer/draw/kept_window.h"

#include <GLFW/glfw3.h>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace orrery::viewer::draw {

namespace {

bool is_software() {
  const auto* renderer = reinterpret_cast<const char*>(glGetString(GL_RENDERER));
  const std::string_view name = renderer == nullptr ? "" : renderer;
  return name.find("llvmpipe") != name.npos || name.find("softpipe") != name.npos;
}

// OpenGL leaves open what the back buffer holds after a swap, so it is tried: a driver that exchanges buffers gives
// back another one than was drawn. All but black, so that nobody sees it.
bool keeps_buffer(GLFWwindow* window) {
  for (const int level : {3, 1, 2, 4}) {
    glClearColor(static_cast<float>(level) / 255, 0, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glfwSwapBuffers(window);
    std::array<unsigned char, 4> found{};
    glReadPixels(0, 0, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, found.data());
    if (found[0] != level || found[1] != 0) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<KeptWindow> KeptWindow::make(GLFWwindow* window) {
  if (!is_software() || !keeps_buffer(window)) return nullptr;
  return std::unique_ptr<KeptWindow>(new KeptWindow(window));
}

void KeptWindow::draw(const ImDrawData& data, int width, int height, std::uint32_t background,
                      const PictureOf& picture_of) {
  take_apart(data, width, height, primitives_);
  if (width != width_ || height != height_) {
    // The driver learns of a new size with the next swap, and then begins a buffer anew: the frame after is whole too.
    width_ = width, height_ = height;
    drawn_ = {{0, 0, width, height}};
    damage_.forget();
  } else {
    drawn_ = damage_.changed(primitives_, width, height, background, picture_of);
  }
  painter_.paint(data, primitives_, width, height, background, drawn_);
}

void KeptWindow::show() {
  if (!drawn_.empty()) glfwSwapBuffers(window_);
}

double KeptWindow::drawn_share() const {
  long area = 0;
  for (const PixelRect& part : drawn_) area += part.area();
  return static_cast<double>(area) / std::max(1.0, static_cast<double>(width_) * height_);
}

}  // namespace orrery::viewer::draw
