// The window: GLFW, OpenGL 3.3 and Dear ImGui around a session. One thread.
#pragma once

#include <string>

#include "viewer/state/script.h"
#include "viewer/state/session.h"

namespace orrery::viewer {

struct WindowOptions {
  /// Pixels; 0: the session's settings.
  int width = 0, height = 0;
  /// Times the screen's own scale.
  float scale = 1;
  /// Steps to play; the window closes after the last one. Empty: a person is in control.
  Script script;
  /// Where the script's screenshots go.
  std::string screenshot_folder = ".";
};

/// Opens the window and runs it until it is closed. Throws InputError when there is no display or no OpenGL 3.3, and
/// what goes wrong in the script.
void run_window(Session& session, const WindowOptions& options);

}  // namespace orrery::viewer
