// What lossy pictures leave beside bodies: ringing around moving edges, a trace where something was, a piece of a rod.
// It is fainter than the bodies and flickers, and is none of them.
#pragma once

#include <vector>

#include "physics_eval/track/track.h"

namespace orrery::tracking {

/// Takes tracks out that are residue. Faint: with a contrast against the background of q times the strongest body's (q
/// < 0.6), those seen in less than (1 − q / 0.6) / 2 of the clip's frames. A body that is faint all along stays, and so
/// does a strong one that is seen for a moment. A blurred rod: seen in less than a twentieth of the frames, where
/// `lines` (a frame each) has a rod or a string in a frame beside. Clips of less than 24 frames keep all: they cannot
/// show what flickers.
void drop_residue(std::vector<Track>& tracks, const Frame& background, const std::vector<std::vector<LineRun>>& lines);

}  // namespace orrery::tracking
