// Looking inside the model while it plays: experts and attention of the latent frame that is shown, worked out on a
// thread of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/pipeline/insight.h"
#include "viewer/state/generator.h"

namespace orrery::viewer {

/// What was found at one latent frame of a live world.
struct InsideView {
  pipeline::Insight insight;
  /// Number of the latent frame, and its picture and those of the frames before it in its context, newest first.
  std::int64_t latent = 0;
  std::vector<Picture> pictures;
  /// One line when it could not be worked out.
  std::string error;
};

class Inside {
 public:
  explicit Inside(std::shared_ptr<ModelStore> store);
  /// Waits for the frame in work.
  ~Inside();
  /// Looks at the last of `chunks` (a branch's from its start) next; what was asked before and not begun is dropped.
  void ask(const std::string& prompt, std::vector<ChunkPtr> chunks);
  /// The newest answer; null before the first.
  std::shared_ptr<const InsideView> answer() const;
  bool busy() const;
  /// Forgets the answer and what was asked.
  void clear();
  /// Waits for the answer: for tests and scripts.
  void settle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
