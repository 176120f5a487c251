// A world that is made while one watches, as a tree of branches: a thread makes the current branch's frames as far as
// they are wanted; going back and changing something starts another branch, which shares the frames before it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "viewer/state/generator.h"

namespace orrery::viewer {

struct BranchInfo {
  int id = 0;
  /// -1: the first one.
  int parent = -1;
  /// First frame that is this branch's own.
  std::int64_t begin = 0;
  /// Frames so far, the parent's before `begin` counted.
  std::int64_t frames = 0;
  BranchSettings settings;
  /// What a person did: first frame that shows it, and the push.
  std::vector<worlds::TimedAction> actions;
  /// "push-right", "seed 43" …: what made it.
  std::string reason;
};

class LiveRun {
 public:
  static constexpr std::size_t kBudget = std::size_t{512} << 20;
  static constexpr std::size_t kMostBranches = 16;

  /// Starts its thread. Frames beyond the budget (bytes, all branches together) are forgotten, the oldest first.
  LiveRun(std::shared_ptr<GeneratorFactory> factory, const BranchSettings& settings, std::size_t budget = kBudget);
  /// Abandons what is being made; waits for the chunk in work.
  ~LiveRun();

  /// The current branch as a reel's info.
  ReelInfo info() const;
  std::vector<BranchInfo> branches() const;
  int current() const;
  /// Makes another branch the one that goes on.
  void select(int branch);

  /// Frames are made until the current branch has so many: the back-pressure.
  void want(std::int64_t frames);
  /// A push at the next chunk that is not made yet. A second one before that chunk replaces the first.
  void push(const worlds::Action& action);
  /// A new branch that leaves the current one after the chunk of `frame`, under `settings` and with `action` at its
  /// begin; it becomes the current one. Returns its id; throws InputError when there are kMostBranches.
  int branch(std::int64_t frame, const BranchSettings& settings, const worlds::Action& action);

  /// Null when not made yet or forgotten. branch < 0: the current one.
  Picture picture(int branch, std::int64_t frame) const;
  Picture truth(int branch, std::int64_t frame) const;
  /// The engine's state of that frame; bodies empty when there is none.
  worlds::FrameTruth state(int branch, std::int64_t frame) const;
  /// The chunk of that frame; null like picture().
  ChunkPtr chunk(int branch, std::int64_t frame) const;
  /// The current branch's chunks from the start up to that of `frame`, and the prompt under which the last of them was
  /// made.
  std::pair<std::vector<ChunkPtr>, std::string> history(std::int64_t frame) const;
  worlds::Annotations world() const { return factory_->world(); }
  /// Frames that are made at once, but for the first.
  int chunk_frames() const { return factory_->chunk_frames(); }

  /// Frames a second that the thread makes, over its last second of work; 0 before the first chunk.
  double rate() const;
  /// The same by the processor time of its thread: with a core to itself.
  double processor_rate() const;
  /// Waits until so many frames (at most the wanted ones) are there or the thread has failed: for tests and scripts.
  void settle(std::int64_t frames) const;

 private:
  struct State;
  std::shared_ptr<GeneratorFactory> factory_;
  std::unique_ptr<State> state_;
};

/// A branch of a run as something to watch; the run is shared with whoever steers it.
class LiveReel : public Reel {
 public:
  enum class Layer { shown, truth };
  /// branch < 0: whichever is the current one.
  LiveReel(std::shared_ptr<LiveRun> run, int branch = -1, Layer layer = Layer::shown)
      : run_(std::move(run)), branch_(branch), layer_(layer) {}
  ReelInfo info() const override;
  Picture picture(std::int64_t frame) const override;
  void attend(std::int64_t) override {}

 private:
  std::shared_ptr<LiveRun> run_;
  int branch_;
  Layer layer_;
};

}  // namespace orrery::viewer
