// The panels one by one. Private to viewer/panels.
#pragma once

#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/state/plots.h"

namespace orrery::viewer::panels {

void draw_top_bar(Session& session, float scale);
void draw_stage(Session& session, TextureSource& textures, const Rect& place, float scale);
/// The folder's clips, in the stage's place.
void draw_sheet(Session& session, TextureSource& textures, const Rect& room, float scale);
void draw_timeline(Session& session, float scale);
void draw_side_panel(Session& session, TextureSource& textures, float scale);
/// The side panel's tab about the model: what lies over the picture, load of the experts, attention.
void draw_inside(Session& session, TextureSource& textures, float scale);
/// What shown.heat says, over a picture that lies at `place` within `room`.
void draw_heat_map(const Session& session, const Rect& place, const Rect& room, float scale);
/// The colours from low to high between their names, in the lower right corner.
void draw_heat_legend(const Rect& room, const char* low, const char* high, float scale);
/// Help, the file list, times, notices: over everything else.
void draw_popups(Session& session, const Rect& stage, float scale);

/// Tracks, velocities and the engine's arrows over a picture that lies at `place` in the window.
void draw_overlays(Session& session, const Rect& place);
/// One plot in the current window, `height` pixels high; `now`: seconds at the playhead.
void draw_plot(Session& session, const Plot& plot, float height, double now);

}  // namespace orrery::viewer::panels
