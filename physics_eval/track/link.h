// Identity over time: segments of each frame to tracks.
#pragma once

#include <span>
#include <vector>

#include "physics_eval/track/segment.h"

namespace orrery::tracking {

/// Links segments from the frame that shows most bodies apart, forwards and then backwards: constant-velocity
/// prediction, least-cost assignment by place, colour and size; boxes that touch are placed by their outlines
/// (touching.h), once more from the start where those showed late; other bodies that touch are split by their known
/// sizes; a body that jumps is recognised by colour and size; one that left the picture when it comes back. Tracks in
/// order of appearance.
std::vector<Track> link(std::span<const Frame> frames, const Background& background,
                        const std::vector<std::vector<Segment>>& segments);

}  // namespace orrery::tracking
