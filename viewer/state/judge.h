// The physics score and the tracks of what is watched, worked out on a thread of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "physics_eval/track/track.h"
#include "viewer/state/reel.h"

namespace orrery::viewer {

/// What was found in frames [first, first + count).
struct Judgement {
  std::int64_t first = 0, count = 0;
  Tracks tracks;
  PhysicsScore score;
  /// One line when it could not be judged at all.
  std::string error;

  /// The score of a frame; NaN outside.
  double at(std::int64_t frame) const;
};

class Judge {
 public:
  Judge();
  /// Waits for the clip in work.
  ~Judge();
  /// Judges these frames next; what was asked before and not begun is dropped, and what is in work is not kept.
  void ask(std::vector<Picture> frames, double fps, std::int64_t first);
  /// The whole file as `orrery score physics` reads it, so that the figures are the same.
  void ask_file(const std::string& path, std::size_t most_bytes);
  /// Forgets the answer and what was asked.
  void clear();
  /// The newest answer; null before the first.
  std::shared_ptr<const Judgement> answer() const;
  bool busy() const;
  /// Waits for the answer: for tests and scripts.
  void settle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
