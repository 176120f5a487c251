#include "viewer/draw/kept_window.h"

#include <GLFW/glfw3.h>
#include <imgui.h>

#include <string_view>

namespace orrery::viewer::draw {

std::unique_ptr<KeptWindow> KeptWindow::make() {
  const auto* renderer = reinterpret_cast<const char*>(glGetString(GL_RENDERER));
  const std::string_view name = renderer == nullptr ? "" : renderer;
  if (name.find("llvmpipe") == std::string_view::npos && name.find("softpipe") == std::string_view::npos)
    return nullptr;
  if (glfwExtensionSupported("GLX_MESA_copy_sub_buffer") == GLFW_FALSE) return nullptr;
  // Through GLFW, so that a system without X11 builds it as well.
  const auto copy = reinterpret_cast<CopySubBuffer>(glfwGetProcAddress("glXCopySubBufferMESA"));
  const auto display = reinterpret_cast<void* (*)()>(glfwGetProcAddress("glXGetCurrentDisplay"));
  const auto drawable = reinterpret_cast<unsigned long (*)()>(glfwGetProcAddress("glXGetCurrentDrawable"));
  if (copy == nullptr || display == nullptr || drawable == nullptr) return nullptr;
  return std::unique_ptr<KeptWindow>(new KeptWindow(copy, display(), drawable()));
}

void KeptWindow::draw(const ImDrawData& data, int width, int height, std::uint32_t background,
                      const PictureOf& picture_of) {
  take_apart(data, width, height, primitives_);
  // The driver may learn of a new size a frame later than the window, and then begins a buffer anew.
  if (width != width_ || height != height_) {
    width_ = width, height_ = height;
    drawn_ = {{0, 0, width, height}};
    damage_.forget();
  } else {
    drawn_ = damage_.changed(primitives_, width, height, background, picture_of);
  }
  painter_.paint(data, primitives_, width, height, background, drawn_);
}

void KeptWindow::show() {
  for (const PixelRect& part : drawn_)
    copy_(display_, window_, part.x, height_ - part.y - part.height, part.width, part.height);
}

double KeptWindow::drawn_share() const {
  long area = 0;
  for (const PixelRect& part : drawn_) area += part.area();
  return static_cast<double>(area) / std::max(1.0, static_cast<double>(width_) * height_);
}

}  // namespace orrery::viewer::draw
