// What a batch will cost, from a few latent frames made for the purpose.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "apps/pipeline/batch/batch.h"
#include "apps/pipeline/batch/clip_group.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class ScratchFolder {
 public:
  ScratchFolder() : path_((fs::temp_directory_path() / "orrery-plan-XXXXXX").string()) {
    ORRERY_ASSERT(mkdtemp(path_.data()) != nullptr, "cannot make a folder in ", fs::temp_directory_path().string());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

Cost measure_cost(const pipeline::LoadedModel& model, const BatchOptions& options, int width, int height,
                  std::int64_t at_once) {
  constexpr std::int64_t kLatents = 3;
  pipeline::ClipSpec spec;
  spec.prompt = "a ball";
  spec.fps = model.fps();
  spec.seconds = static_cast<double>(decoded_frames(model.codec().config(), kLatents)) / model.fps();
  const int threads = thread_count();
  set_thread_count(1);  // as each of a batch's threads has it
  std::vector<std::unique_ptr<pipeline::ClipCodes>> clips;
  std::vector<pipeline::ClipCodes*> all;
  for (std::int64_t i = 0; i < at_once; ++i) {
    spec.seed = static_cast<std::uint64_t>(i);
    clips.push_back(std::make_unique<pipeline::ClipCodes>(model, spec));
    all.push_back(clips.back().get());
  }
  std::vector<std::int32_t> codes;
  double begin = now();
  for (std::int64_t latent = 0; latent < kLatents; ++latent) {
    const std::vector<std::int32_t> first = pipeline::ClipCodes::next_each(all)[0];
    codes.insert(codes.end(), first.begin(), first.end());
  }
  Cost cost;
  cost.latent_seconds = (now() - begin) / static_cast<double>(kLatents * at_once);
  const ScratchFolder scratch;
  pipeline::ClipOutput output;
  output.path = scratch.path() + "/clip." + options.format, output.width = width, output.height = height;
  begin = now();
  spec.seed = 0;
  const pipeline::ClipReport report = pipeline::write_clip(model, spec, output, codes);
  cost.frame_seconds = (now() - begin) / static_cast<double>(report.frames);
  cost.frame_bytes = static_cast<double>(fs::file_size(output.path)) / static_cast<double>(report.frames);
  set_thread_count(threads);
  DecodeState state = model.decoder().start();
  model.decoder().append(state, model.layout().prompt({}));
  cost.clip_bytes = static_cast<double>(state.bytes() * model.context_groups());
  for (const char* name : {"model.safetensors", "codec.safetensors"})
    cost.weight_bytes += static_cast<double>(fs::file_size(fs::path(model.folder()) / name));
  return cost;
}

}  // namespace orrery::batch
