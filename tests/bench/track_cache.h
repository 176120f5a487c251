// Tracks on disk, so that a change of the laws is measured without drawing and tracking the clips again.
#pragma once

#include <string>

#include "physics_eval/track/track.h"

namespace orrery {

/// A clip of the physics score's bench and its twin, as far as the laws see them.
struct BenchPair {
  std::string scene, kind;
  /// Frame from which on the law is broken, and the first that shows it.
  int broken_at = 0, shown_at = 0;
  /// The twin departs from its original; else `twin` is empty.
  bool departs = false;
  /// The break shows to who sees the twin alone.
  bool observable = false;
  Tracks lawful, twin;
};

/// False when there is no such file. Written and read on one machine by one build: no portable format.
bool load_pair(const std::string& path, BenchPair& pair);
void save_pair(const std::string& path, const BenchPair& pair);

}  // namespace orrery
