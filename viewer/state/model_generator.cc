// The model as a live world: a latent frame a chunk. The engine draws the first latent frames of a prompt that it knows
// a world for, the model goes on from them, and the engine runs on beside it under the same pushes.
#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/pipeline/rollout.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "physics_eval/worlds/from_caption.h"
#include "viewer/state/generator.h"

namespace orrery::viewer {

using pipeline::LoadedModel;
using pipeline::Rollout;

Action to_action(const LoadedModel& model, const worlds::Action& action) {
  const auto& sizes = model.layout().vocabulary().sizes();
  Action out;
  if (action.push == worlds::Push::none) return out;
  out.kind = static_cast<ActionKind>(action.push);
  out.row = std::clamp(static_cast<std::int32_t>(action.v * sizes.rows), 0, sizes.rows - 1);
  out.column = std::clamp(static_cast<std::int32_t>(action.u * sizes.columns), 0, sizes.columns - 1);
  return out;
}

namespace {

// The push as the model is told it: at the centre of a cell, so that the engine does the same.
worlds::Action on_grid(const LoadedModel& model, const worlds::Action& action) {
  if (action.push == worlds::Push::none) return {};
  const auto& sizes = model.layout().vocabulary().sizes();
  const Action cell = to_action(model, action);
  return {action.push, (cell.column + 0.5) / sizes.columns, (cell.row + 0.5) / sizes.rows};
}

// One chunk in so many keeps what is needed to go on from there.
constexpr std::size_t kResumeEvery = 4;

class ModelGenerator : public Generator {
 public:
  ModelGenerator(std::shared_ptr<const LoadedModel> model, const BranchSettings& settings,
                 const std::optional<worlds::WorldSpec>& spec, int given, const std::vector<ChunkPtr>& past)
      : model_(std::move(model)),
        encoder_(model_->codec()),
        decoder_(model_->codec(), model_->layout().vocabulary().sizes().rows,
                 model_->layout().vocabulary().sizes().columns),
        given_(spec.has_value() ? given : 0) {
    if (spec.has_value()) world_.emplace(*spec);
    restore_rollout(settings, past);
    const std::size_t history = static_cast<std::size_t>(model_->codec().config().history) + 1;
    for (std::size_t i = past.size() - std::min(past.size(), history); i < past.size(); ++i)
      decoder_.push(past[i]->codes);
    // While the engine still draws, the codec goes on from what it has seen so far.
    const bool given_still = past.size() < static_cast<std::size_t>(given_);
    for (const ChunkPtr& chunk : past) {
      Chunk again;
      again.action = chunk->action;
      truth_frames(again, given_still);
      for (const Picture& frame : again.truth) encoder_.push(*frame);
    }
    chunks_ = past.size();
  }

  ChunkPtr next(const worlds::Action& person) override {
    auto chunk = std::make_shared<Chunk>();
    chunk->action = chunks_ == 0 ? worlds::Action{} : on_grid(*model_, person);
    truth_frames(*chunk, true);
    const Action action = to_action(*model_, chunk->action);
    if (chunks_ < static_cast<std::size_t>(given_)) {
      for (const Picture& frame : chunk->truth) chunk->codes = encoder_.push(*frame);
      rollout_->give(chunk->codes, action);
    } else {
      chunk->codes = rollout_->next(action);
      chunk->entropy = rollout_->entropy();
      chunk->rows = model_->layout().vocabulary().sizes().rows;
      chunk->most_bits = std::log2(static_cast<double>(model_->layout().vocabulary().sizes().codes));
    }
    for (Frame& frame : decoder_.push(chunk->codes))
      chunk->frames.push_back(std::make_shared<const Frame>(std::move(frame)));
    if (++chunks_ % kResumeEvery == 0) chunk->resume = std::make_shared<Resume>(Resume{settings_, *rollout_});
    return chunk;
  }

 private:
  struct Resume {
    BranchSettings settings;
    Rollout rollout;
  };

  // From the newest chunk that kept its rollout under the same settings; the codes say the rest.
  void restore_rollout(const BranchSettings& settings, const std::vector<ChunkPtr>& past) {
    settings_ = settings;
    std::size_t from = past.size();
    for (; from > 0; --from) {
      const auto kept = std::static_pointer_cast<const Resume>(past[from - 1]->resume);
      if (kept == nullptr || kept->settings != settings) continue;
      rollout_.emplace(kept->rollout);
      break;
    }
    if (!rollout_.has_value()) {
      pipeline::RolloutOptions options;
      options.prompt = settings.prompt, options.seed = settings.seed, options.sampling = settings.sampling;
      options.measure_entropy = true;
      rollout_.emplace(*model_, options);
    }
    for (; from < past.size(); ++from) rollout_->give(past[from]->codes, to_action(*model_, past[from]->action));
  }

  // Runs the engine over the chunk's frames; `keep`: and stores what it shows.
  void truth_frames(Chunk& chunk, bool keep) {
    if (!world_.has_value()) return;
    const int count = world_begun_ ? static_cast<int>(model_->codec().config().time_factor) : 1;
    for (int i = 0; i < count; ++i) {
      if (std::exchange(world_begun_, true)) {
        if (i == 0) world_->push(chunk.action);
        world_->step();
      }
      if (!keep) continue;
      chunk.truth.push_back(std::make_shared<const Frame>(world_->draw()));
      chunk.states.push_back(world_->truth());
    }
  }

  std::shared_ptr<const LoadedModel> model_;
  BranchSettings settings_;
  StreamingEncoder encoder_;
  StreamingDecoder decoder_;
  std::optional<Rollout> rollout_;
  std::optional<worlds::World> world_;
  bool world_begun_ = false;
  int given_;
  std::size_t chunks_ = 0;
};

class ModelFactory : public GeneratorFactory {
 public:
  ModelFactory(std::shared_ptr<ModelStore> store, std::string prompt, ModelRunOptions options)
      : store_(std::move(store)), prompt_(std::move(prompt)), options_(std::move(options)) {}

  ReelInfo info(const BranchSettings& settings) const override {
    ReelInfo info;
    info.kind = ReelKind::model;
    info.title = settings.prompt;
    const std::lock_guard lock(mutex_);
    info.opening = !ready_;
    if (ready_) info.fps = fps_, info.width = width_, info.height = height_;
    info.facts = {{"made by", "the model " + (ready_ ? name_ : store_->folder())},
                  {"prompt", settings.prompt},
                  {"seed", std::to_string(settings.seed)}};
    char text[96];
    std::snprintf(text, sizeof text, "temperature %.2g, min-p %.2g", settings.sampling.temperature,
                  settings.sampling.min_p);
    info.facts.emplace_back("sampling", text);
    if (ready_ && spec_.has_value()) {
      info.facts.emplace_back("truth beside it",
                              "the engine's scene " + spec_->scene + ", seed " + std::to_string(spec_->seed));
      info.facts.emplace_back("given by the engine", std::to_string(1 + (given_ - 1) * step_) + " frames");
    } else if (ready_) {
      info.facts.emplace_back("truth beside it", "none: " + no_world_);
    }
    return info;
  }
  int chunk_frames() const override {
    const std::lock_guard lock(mutex_);
    return step_;
  }
  std::unique_ptr<Generator> make(const BranchSettings& settings, const std::vector<ChunkPtr>& past) override {
    const std::shared_ptr<const LoadedModel> model = store_->get();
    prepare(*model, settings);
    return std::make_unique<ModelGenerator>(model, settings, spec_, given_, past);
  }
  worlds::Annotations world() const override {
    const std::lock_guard lock(mutex_);
    return description_;
  }
  std::string remark() const override {
    const std::lock_guard lock(mutex_);
    return remark_;
  }

 private:
  void prepare(const LoadedModel& model, const BranchSettings& settings) {
    const std::lock_guard lock(mutex_);
    const std::vector<std::string> unknown = model.words().unknown_words(settings.prompt);
    remark_.clear();
    for (const std::string& word : unknown) remark_ += (remark_.empty() ? "" : ", ") + word;
    if (!remark_.empty()) remark_ = "The model never saw: " + remark_;
    if (ready_) return;
    fps_ = model.fps(), width_ = model.width(), height_ = model.height(), name_ = model.name();
    step_ = static_cast<int>(model.codec().config().time_factor);
    given_ = 1 + std::max(0, (options_.given_frames - 1 + step_ - 1) / step_);
    if (options_.given_frames <= 0) given_ = 0;
    worlds::WorldSpec spec;
    spec.width = width_, spec.height = height_, spec.fps = fps_, spec.seed = options_.world_seed;
    spec.smooth_background = true;
    try {
      if (options_.scene.empty()) {
        worlds::set_from_caption(spec, prompt_);
      } else {
        spec.scene = options_.scene;
      }
      description_ = worlds::World(spec).describe();
      spec_ = spec;
    } catch (const InputError& error) {
      no_world_ = error.what();
    }
    ready_ = true;
  }

  std::shared_ptr<ModelStore> store_;
  std::string prompt_;
  ModelRunOptions options_;
  mutable std::mutex mutex_;
  bool ready_ = false;
  double fps_ = 24;
  int width_ = 0, height_ = 0, step_ = 4, given_ = 0;
  std::string name_, remark_, no_world_;
  std::optional<worlds::WorldSpec> spec_;
  worlds::Annotations description_;
};

}  // namespace

std::shared_ptr<const LoadedModel> ModelStore::get() {
  const std::lock_guard lock(mutex_);
  if (model_ == nullptr) model_ = std::make_shared<const LoadedModel>(folder_);
  return model_;
}

std::shared_ptr<GeneratorFactory> model_factory(std::shared_ptr<ModelStore> store, const std::string& prompt,
                                                const ModelRunOptions& options) {
  return std::make_shared<ModelFactory>(std::move(store), prompt, options);
}

}  // namespace orrery::viewer
