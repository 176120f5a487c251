// Curves of what is watched: a body's motion as it was tracked in the pictures and as the engine knows it.
#pragma once

#include <string>
#include <vector>

#include "viewer/state/session.h"

namespace orrery::viewer {

struct Series {
  std::string name;
  /// Seconds from the clip's begin, ascending, and the values.
  std::vector<float> time, value;
  /// 0: the first colour of the palette, …
  int colour = 0;
  /// What others are measured against: drawn broader, beneath them.
  bool reference = false;
};

struct Plot {
  std::string title, unit;
  std::vector<Series> series;
};

/// Plots of the last `seconds` before the playhead and what follows within them, for the picked body (or the one that
/// moves most). Lengths as shares of the picture's height, so that pictures and engine compare; energies in joules.
/// Empty when nothing is known yet.
std::vector<Plot> plots_of(const Session& session, double seconds);

}  // namespace orrery::viewer
