// Boxes, and balls beside them, that touch: whose outlines are known is found in the picture of all of them together.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "physics_eval/track/background.h"
#include "physics_eval/track/rigid_fit.h"
#include "physics_eval/track/segment.h"

namespace orrery::tracking {

/// A body of known outline, where the frames before it let expect it.
struct Foretold {
  std::size_t track;
  RigidBody body;
  TrackColour colour;
  /// What it may have become: of the same area, a ball for a box or the other way round.
  RigidShape other;
};

/// A body that was found, and the segment it lies in, alone or with others of its colour.
struct Placed {
  std::size_t track, segment;
  bool shares = false;
  RigidBody body = {};
  /// What it may have become, or where it did, what it was.
  RigidShape other = {};
};

/// Finds the bodies in one frame's segments. Segments that adjoin are looked at together, where a box is among what is
/// foretold there; one that does not fit is tried as what it may have become; who is not there is left out, and so is a
/// group that the bodies do not explain or that is more than a sixth something else.
std::vector<Placed> place_touching(std::span<const Foretold> foretold, const std::vector<Segment>& found,
                                   const Frame& frame, const Background& background);

}  // namespace orrery::tracking
