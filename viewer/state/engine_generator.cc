// The physics engine as a live world: one frame a chunk.
#include "core/base/parallel.h"
#include "viewer/state/generator.h"

namespace orrery::viewer {

namespace {

class EngineGenerator : public Generator {
 public:
  EngineGenerator(const worlds::WorldSpec& spec, const std::vector<ChunkPtr>& past) : world_(spec) {
    // The same pushes lead to the same state.
    for (const ChunkPtr& chunk : past) advance(chunk->action);
  }
  ChunkPtr next(const worlds::Action& action) override {
    advance(action);
    auto chunk = std::make_shared<Chunk>();
    chunk->action = action;
    chunk->frames.push_back(std::make_shared<const Frame>(world_.draw()));
    chunk->states.push_back(world_.truth());
    return chunk;
  }
  worlds::Annotations describe() const { return world_.describe(); }

 private:
  void advance(const worlds::Action& action) {
    if (std::exchange(begun_, true)) {
      world_.push(action);
      world_.step();
    }
  }

  worlds::World world_;
  bool begun_ = false;
};

class EngineFactory : public GeneratorFactory {
 public:
  EngineFactory(const worlds::WorldSpec& spec, std::string title) : spec_(spec), title_(std::move(title)) {
    description_ = worlds::World(spec).describe();
  }
  ReelInfo info(const BranchSettings&) const override {
    ReelInfo info;
    info.kind = ReelKind::engine;
    info.title = title_.empty() ? description_.caption : title_;
    info.fps = spec_.fps, info.width = spec_.width, info.height = spec_.height;
    info.facts = {{"made by", "the physics engine"},
                  {"scene", spec_.scene},
                  {"seed", std::to_string(spec_.seed)},
                  {"caption", description_.caption}};
    if (spec_.corruption.has_value())
      info.facts.emplace_back("breaks a law",
                              spec_.corruption->kind + " from frame " + std::to_string(spec_.corruption->frame));
    for (const auto& [name, value] : description_.parameters) {
      char text[48];
      std::snprintf(text, sizeof text, "%.4g", value);
      info.facts.emplace_back(name, text);
    }
    return info;
  }
  int chunk_frames() const override { return 1; }
  std::unique_ptr<Generator> make(const BranchSettings&, const std::vector<ChunkPtr>& past) override {
    return std::make_unique<EngineGenerator>(spec_, past);
  }
  worlds::Annotations world() const override { return description_; }

 private:
  worlds::WorldSpec spec_;
  std::string title_;
  worlds::Annotations description_;
};

}  // namespace

std::shared_ptr<GeneratorFactory> engine_factory(const worlds::WorldSpec& spec, const std::string& title) {
  return std::make_shared<EngineFactory>(spec, title);
}

}  // namespace orrery::viewer
