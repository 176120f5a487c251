// The panels: they draw the session and hand what the person does to it. No logic, no window of their own.
#pragma once

#include <cstdint>

#include "viewer/state/session.h"

namespace orrery::viewer {

/// Puts pictures where the graphics card finds them.
class TextureSource {
 public:
  virtual ~TextureSource() = default;
  /// The texture that shows `picture`; each slot holds one at a time. `smooth`: blended when enlarged.
  virtual std::uintptr_t texture(int slot, const Picture& picture, bool smooth) = 0;
};

/// Colours and spacing of Dear ImGui's style, for this theme and screen scale (1 = 96 dots an inch).
void set_style(bool dark, float scale);

/// Draws everything. Between ImGui::NewFrame() and ImGui::Render().
void draw_panels(Session& session, TextureSource& textures, float scale);

}  // namespace orrery::viewer
