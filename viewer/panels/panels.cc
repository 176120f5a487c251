// Where the panels lie: prompt on top, timeline at the bottom, side panel to the right, the picture in the rest.
#include "viewer/panels/panels.h"

#include <imgui.h>

#include <algorithm>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer {

namespace {

constexpr float kTop = 56, kBottom = 132, kSide = 360;

bool begin(const char* name, float x, float y, float width, float height) {
  ImGui::SetNextWindowPos(ImVec2(x, y));
  ImGui::SetNextWindowSize(ImVec2(width, height));
  return ImGui::Begin(name, nullptr,
                      ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove |
                          ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoSavedSettings |
                          ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoScrollWithMouse);
}

}  // namespace

void draw_panels(Session& session, TextureSource& textures, float scale) {
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  const float top = kTop * scale, bottom = kBottom * scale;
  const float side = session.shown.panel ? std::min(kSide * scale, screen.x * 0.45f) : 0;
  const Rect stage{0, top, screen.x - side, std::max(1.0f, screen.y - top - bottom)};
  session.shown.places.clear();
  if (begin("prompt", 0, 0, screen.x, top)) panels::draw_top_bar(session, scale);
  ImGui::End();
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  if (begin("stage", stage.x, stage.y, stage.width, stage.height)) {
    panels::draw_stage(session, textures, stage, scale);
  }
  ImGui::End();
  ImGui::PopStyleVar();
  if (begin("timeline", 0, screen.y - bottom, screen.x, bottom)) panels::draw_timeline(session, scale);
  ImGui::End();
  if (side > 0) {
    if (begin("panel", screen.x - side, top, side, stage.height)) panels::draw_side_panel(session, textures, scale);
    ImGui::End();
  }
  panels::draw_popups(session, stage, scale);
  session.shown.tooltip = parts::take_tooltip();
}

}  // namespace orrery::viewer
