// Pushes that bodies give one another: the undisturbed motion on either side of one, and who takes part.
#pragma once

#include <vector>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

/// Frames of undisturbed motion next to an event: up to six on either side, not past the neighbouring events.
struct Sides {
  Fit before, after;
  bool ok = false;
  /// No other event for some frames.
  bool apart = true;
  /// Both sides are motion whose acceleration is known, so that few frames tell the velocity: free flight, or
  /// `sideways` anything that floors alone push.
  bool known = false;
};
/// `sideways`: only the motion across the picture matters, on which floors and gravity have no hold.
Sides sides_of(const Context& context, const Event& event, bool sideways = false);

/// The body's event within a frame of that one, nearest first; null without any.
const Event* event_of(const Context& context, int body, int frame);

/// About as long as wide, so that a push through its centre does not turn it.
bool round_body(const Path& path, int frame);

/// All bodies that touch `body` or one another around the frame.
std::vector<std::size_t> cluster_of(const Context& context, std::size_t body, int frame);

/// Who is pushed by another body pushes it as hard: bodies that change their motion beside one that does not.
void test_third_law(const Context& context, Verdict& out);

}  // namespace orrery::laws
