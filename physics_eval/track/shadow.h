// Shadows of bodies: dark copies that go where their bodies go.
#pragma once

#include <vector>

#include "physics_eval/track/track.h"

namespace orrery::tracking {

/// Drops tracks that are shadows: of the background's hue but darker, below a body, and at a place that is one affine
/// function of that body's throughout (what a distant light throws onto a plane). Pieces of such a shadow go with it,
/// and so do `lines` that lie in it. `background`: the picture without bodies.
void drop_shadows(std::vector<Track>& tracks, const Frame& background, std::vector<std::vector<LineRun>>& lines);

}  // namespace orrery::tracking
