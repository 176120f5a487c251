// A clip with what the score saw drawn on it: bodies' outlines and paths, and a red frame where a law is broken.
#pragma once

#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "video/frames/frame.h"

namespace orrery {

/// Draws frame `index` of the clip onto `frame` (any size of the clip's shape): each body's outline in a colour of its
/// own, its path so far, the score's bar along the lower edge; where the frame's score is below 0.5 a red rim and red
/// outlines of the bodies concerned.
void draw_overlay(Frame& frame, int index, const Tracks& tracks, const PhysicsScore& score);

}  // namespace orrery
