// What makes a live world: the physics engine alone, or the model with the engine running beside it as the truth.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "apps/pipeline/loaded_model.h"
#include "core/generate/sampler.h"
#include "physics_eval/worlds/world.h"
#include "viewer/state/reel.h"

namespace orrery::viewer {

/// The frames that are made at once: one for the engine; a latent frame's for the model, the first of which is one
/// frame.
struct Chunk {
  std::vector<Picture> frames;
  /// The same frames as the engine has them; empty where there is no engine.
  std::vector<Picture> truth;
  std::vector<worlds::FrameTruth> states;
  /// What a person did at its begin.
  worlds::Action action;
  /// The model's codes of the latent frame, and how sure it was of each: entropy of the distribution it was drawn from,
  /// bits, in row-major order of the cells (empty where the engine gave them).
  std::vector<std::int32_t> codes;
  std::vector<float> entropy;
  int rows = 0;           ///< of cells
  double most_bits = 13;  ///< entropy of a choice with no preference at all
  /// The generator's own: where to go on from here. Kept for some chunks only.
  std::shared_ptr<const void> resume;
};
using ChunkPtr = std::shared_ptr<Chunk>;

/// What a person can change in the middle of a world; a change makes a branch.
struct BranchSettings {
  std::string prompt;
  std::uint64_t seed = 42;
  SamplingOptions sampling;
  bool operator==(const BranchSettings&) const = default;
};

/// One world that goes on. Used by one thread at a time.
class Generator {
 public:
  virtual ~Generator() = default;
  virtual ChunkPtr next(const worlds::Action& action) = 0;
};

/// Makes worlds of one kind; shared by the branches of a run.
class GeneratorFactory {
 public:
  virtual ~GeneratorFactory() = default;
  /// What is known before the first chunk; `title` and `facts` may change with branches. Any thread.
  virtual ReelInfo info(const BranchSettings& settings) const = 0;
  /// Frames of a chunk that is not the first.
  virtual int chunk_frames() const = 0;
  /// A world that goes on after `past` (empty: from the start). The worker's thread; may take long.
  virtual std::unique_ptr<Generator> make(const BranchSettings& settings, const std::vector<ChunkPtr>& past) = 0;
  /// What is fixed about the bodies, for plots; empty without an engine. Valid after the first chunk.
  virtual worlds::Annotations world() const = 0;
  /// Something the person should know (words the model never saw), after make(); empty if nothing.
  virtual std::string remark() const { return {}; }
};

/// The engine: `spec` says the world. Prompt and seed of the branches are not used: another one is another run.
std::shared_ptr<GeneratorFactory> engine_factory(const worlds::WorldSpec& spec, const std::string& title);

/// Loads a model once, when first asked, and keeps it.
class ModelStore {
 public:
  explicit ModelStore(std::string folder) : folder_(std::move(folder)) {}
  /// Takes a moment the first time. Throws what LoadedModel throws. Any thread.
  std::shared_ptr<const pipeline::LoadedModel> get();
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::mutex mutex_;
  std::shared_ptr<const pipeline::LoadedModel> model_;
};

/// A person's push as the model is told it: at a cell.
Action to_action(const pipeline::LoadedModel& model, const worlds::Action& action);

struct ModelRunOptions {
  /// Frames that the engine draws before the model goes on, when a world fits the prompt; rounded to latent frames.
  int given_frames = 9;
  /// The world's seed (the sampling's is the branch's).
  std::uint64_t world_seed = 42;
  /// A world by name instead of by the prompt's words.
  std::string scene;
};

/// The model, with the world that fits the first prompt beside it.
std::shared_ptr<GeneratorFactory> model_factory(std::shared_ptr<ModelStore> store, const std::string& prompt,
                                                const ModelRunOptions& options = {});

}  // namespace orrery::viewer
