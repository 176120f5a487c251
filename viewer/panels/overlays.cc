// Tracks, velocities and fitted paths over the picture.
#include <imgui.h>

#include <cmath>
#include <string>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

void draw_overlays(Session& session, const Rect& place) {
  if (!session.shown.tracks && !session.shown.velocities) return;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float size = ImGui::GetFontSize();
  const auto at = [&place](const Share& share) {
    return ImVec2(place.x + static_cast<float>(share.u) * place.width,
                  place.y + static_cast<float>(share.v) * place.height);
  };
  for (const Trail& trail : session.trails()) {
    const std::uint32_t colour = parts::palette(trail.id);
    const bool picked = trail.id == session.shown.picked;
    if (session.shown.tracks) {
      for (std::size_t i = 1; i < trail.past.size(); ++i) {
        const float age = static_cast<float>(i) / static_cast<float>(trail.past.size());
        list.AddLine(at(trail.past[i - 1]), at(trail.past[i]), parts::palette(trail.id, 0.15f + 0.85f * age),
                     size * 0.16f);
      }
      if (trail.visible) {
        const ImVec2 centre = at(trail.now);
        const float radius = static_cast<float>(trail.radius) * place.height;
        list.AddCircle(centre, radius + 2, colour, 32, picked ? 3.0f : 1.5f);
        const std::string name = std::to_string(trail.id + 1) + " " + trail.name;
        list.AddText(ImVec2(centre.x + radius + 4, centre.y - size / 2 + 1), parts::packed(0x000000, 0.7f),
                     name.c_str());
        list.AddText(ImVec2(centre.x + radius + 3, centre.y - size / 2), colour, name.c_str());
      }
    }
    if (!session.shown.velocities || !trail.visible) continue;
    for (std::size_t i = 1; i < trail.fitted.size(); i += 2)  // dashes
      list.AddLine(at(trail.fitted[i - 1]), at(trail.fitted[i]), parts::packed(0xFFFFFF, 0.8f), size * 0.1f);
    const ImVec2 from = at(trail.now);
    const ImVec2 to = at({trail.now.u + trail.velocity.u, trail.now.v + trail.velocity.v});
    const float dx = to.x - from.x, dy = to.y - from.y, length = std::hypot(dx, dy);
    if (length < 3) continue;
    const float head = size * 0.5f, ux = dx / length, uy = dy / length;
    list.AddLine(from, to, colour, size * 0.2f);
    list.AddTriangleFilled(ImVec2(to.x + ux * head, to.y + uy * head),
                           ImVec2(to.x - uy * head * 0.5f, to.y + ux * head * 0.5f),
                           ImVec2(to.x + uy * head * 0.5f, to.y - ux * head * 0.5f), colour);
  }
}

}  // namespace orrery::viewer::panels
