// orrery inspect: where the experts and the attention went, over a clip or a rollout.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/pipeline/clip_input.h"
#include "apps/pipeline/generate.h"
#include "apps/pipeline/insight.h"
#include "apps/pipeline/rollout.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/io/json.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source, prompt, output;
  double seconds = 3;
  int layer = 0;
  bool force = false;
};

struct Clip {
  std::string prompt;
  std::vector<std::vector<std::int32_t>> codes;  // a latent frame each
};

// What was found in one layer, means over the clip.
struct LayerSum {
  std::vector<double> load;
  std::vector<double> frames;  // by distance: this one, 1 before, …
  double words = 0, marks = 0, nothing = 0;
};

Clip clip_of(const Options& options, const CommonOptions& common, const pipeline::LoadedModel& model) {
  Clip clip;
  clip.prompt = options.prompt;
  const auto cells = static_cast<std::size_t>(model.layout().cells());
  const auto step = static_cast<double>(model.codec().config().time_factor);
  const auto latents = 1 + static_cast<std::int64_t>(std::ceil(options.seconds * model.fps() / step));
  if (fs::exists(options.source)) {
    if (clip.prompt.empty()) {
      const std::string record = read_metadata(options.source);
      const Json json = record.empty() ? Json() : Json::parse(record, options.source);
      if (const Json* prompt = json.find("prompt"); prompt != nullptr && prompt->is_string())
        clip.prompt = prompt->as_string();
    }
    const std::vector<std::int32_t> codes = pipeline::encode_window(model, options.source, 0, latents);
    for (std::size_t at = 0; at + cells <= codes.size(); at += cells)
      clip.codes.emplace_back(codes.begin() + static_cast<std::ptrdiff_t>(at),
                              codes.begin() + static_cast<std::ptrdiff_t>(at + cells));
    return clip;
  }
  ORRERY_CHECK(fs::path(options.source).extension().empty(), options.source, " is not there");
  pipeline::RolloutOptions rolling;
  rolling.prompt = clip.prompt = options.source;
  rolling.seed = static_cast<std::uint64_t>(std::max<std::int64_t>(0, common.seed));
  rolling.sampling = pipeline::kDefaultSampling;
  pipeline::Rollout rollout(model, rolling);
  Progress progress("inspect, drawing", "latent frames", latents);
  for (std::int64_t i = 0; i < latents; ++i) {
    clip.codes.push_back(rollout.next());
    progress.update(i + 1);
  }
  return clip;
}

void add(const pipeline::Insight& found, std::size_t layer, double weight, LayerSum& sum) {
  const std::vector<float> load = found.load(layer);
  sum.load.resize(load.size());
  for (std::size_t e = 0; e < load.size(); ++e) sum.load[e] += weight * static_cast<double>(load[e]);
  const double each = weight / static_cast<double>(found.cells());
  for (std::int64_t cell = 0; cell < found.cells(); ++cell) {
    const pipeline::Look look = found.look(cell, static_cast<int>(layer));
    sum.frames.resize(std::max(sum.frames.size(), look.frames.size()));
    for (std::size_t back = 0; back < look.frames.size(); ++back)
      sum.frames[back] += each * static_cast<double>(look.frame(back));
    sum.words += each * static_cast<double>(look.words), sum.marks += each * static_cast<double>(look.marks);
    sum.nothing += each * static_cast<double>(look.nothing);
  }
}

// The frame with each cell in a colour, by a share.
void tint(Frame& frame, const pipeline::Insight& found, std::size_t cell, const std::array<int, 3>& colour,
          double share) {
  const auto row = static_cast<int>(cell) / found.columns(), column = static_cast<int>(cell) % found.columns();
  for (int y = frame.height() * row / found.rows(); y < frame.height() * (row + 1) / found.rows(); ++y)
    for (int x = frame.width() * column / found.columns(); x < frame.width() * (column + 1) / found.columns(); ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        std::uint8_t& value = frame.at(x, y)[c];
        value = static_cast<std::uint8_t>(std::lround(value * (1 - share) + colour[c] * share));
      }
}

// Left the experts of one layer, right where all cells of the frame looked together, all layers.
Frame picture_of(const Frame& native, const pipeline::Insight& found, std::size_t layer) {
  static constexpr std::array<std::array<int, 3>, 8> kColours = {{{86, 180, 233},
                                                                  {230, 159, 0},
                                                                  {47, 199, 154},
                                                                  {240, 228, 66},
                                                                  {204, 121, 167},
                                                                  {213, 94, 0},
                                                                  {0, 114, 178},
                                                                  {154, 160, 166}}};
  constexpr int kSide = 256;
  Frame left = resize(native, kSide, kSide * native.height() / native.width(), Filter::sharp), right = left;
  const std::vector<int> experts = found.first_experts(layer);
  std::vector<double> looked(experts.size());
  for (std::size_t cell = 0; cell < experts.size(); ++cell) {
    tint(left, found, cell, kColours[static_cast<std::size_t>(experts[cell]) % kColours.size()], 0.45);
    const std::vector<float> cells = found.look(static_cast<std::int64_t>(cell), -1).cells();
    for (std::size_t i = 0; i < looked.size(); ++i) looked[i] += static_cast<double>(cells[i]);
  }
  const double most = std::max(1e-9, *std::max_element(looked.begin(), looked.end()));
  for (std::size_t cell = 0; cell < looked.size(); ++cell) {
    tint(right, found, cell, {0, 34, 78}, 0.5 * (1 - looked[cell] / most));
    tint(right, found, cell, {254, 232, 56}, 0.7 * looked[cell] / most);
  }
  Frame both(left.width() * 2 + 4, left.height());
  for (int y = 0; y < left.height(); ++y) {
    std::copy_n(left.row(y), left.width() * 3, both.row(y));
    std::copy_n(right.row(y), right.width() * 3, both.at(left.width() + 4, y));
  }
  return both;
}

Json to_json(const pipeline::LoadedModel& model, const Options& options, const Clip& clip,
             const std::vector<LayerSum>& layers, const std::vector<std::string>& names) {
  Json list = Json::array();
  for (std::size_t i = 0; i < layers.size(); ++i)
    list.push_back(Json::object({{"layer", static_cast<std::int64_t>(i + 1)},
                                 {"kind", names[i]},
                                 {"load", layers[i].load},
                                 {"frames_looked", layers[i].frames},
                                 {"words", layers[i].words},
                                 {"marks", layers[i].marks},
                                 {"nothing", layers[i].nothing}}));
  Json json = Json::object({{"model", model.name()},
                            {"source", options.source},
                            {"prompt", clip.prompt},
                            {"latents", static_cast<std::int64_t>(clip.codes.size())}});
  json.set("layers", std::move(list));
  if (!options.output.empty()) json.set("file", options.output);
  return json;
}

void print(const std::vector<LayerSum>& layers, const std::vector<std::string>& names) {
  constexpr std::size_t kNear = 4;
  std::printf("Share of the tokens that each expert took part in, %%\n");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::printf("%3zu ", i + 1);
    for (const double share : layers[i].load) std::printf(" %3.0f", share * 100);
    std::printf("   %s\n", names[i].c_str());
  }
  std::printf(
      "Where the model looked when it drew a code, %%\n    this frame  1 before  2 before  3 before  older  words"
      "  marks  nothing\n");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerSum& layer = layers[i];
    const auto at = [&layer](std::size_t back) { return back < layer.frames.size() ? layer.frames[back] * 100 : 0.0; };
    double older = 0;
    for (std::size_t back = kNear; back < layer.frames.size(); ++back) older += at(back);
    std::printf("%3zu %10.1f %9.1f %9.1f %9.1f %6.1f %6.1f %6.1f %8.1f\n", i + 1, at(0), at(1), at(2), at(3), older,
                layer.words * 100, layer.marks * 100, layer.nothing * 100);
  }
}

void inspect(const Options& options, const CommonOptions& common) {
  ORRERY_CHECK(options.output.empty() || options.force || !fs::exists(options.output), options.output,
               " is there already; --force replaces it");
  const pipeline::LoadedModel model(pipeline::find_model(common.model));
  // Token after token of a small model is sooner done than shared out.
  if (common.threads == 0 && model.config().hidden_size <= 1024) set_thread_count(1);
  const Clip clip = clip_of(options, common, model);
  const VideoVocabularySizes& sizes = model.layout().vocabulary().sizes();
  StreamingDecoder decoder(model.codec(), sizes.rows, sizes.columns);
  std::unique_ptr<VideoWriter> writer;
  std::vector<pipeline::LatentFrame> frames;
  std::vector<LayerSum> layers;
  std::vector<std::string> names;
  pipeline::Inspector inspector(model);
  Progress progress("inspect", "latent frames", static_cast<std::int64_t>(clip.codes.size()));
  for (const std::vector<std::int32_t>& codes : clip.codes) {
    frames.push_back({codes, {}});
    const pipeline::Insight found = inspector.inspect(clip.prompt, frames);
    layers.resize(found.layers());
    if (names.empty())
      for (std::size_t i = 0; i < found.layers(); ++i) names.push_back(found.layer_name(i));
    ORRERY_CHECK(options.layer <= static_cast<int>(found.layers()), "layer is ", options.layer, ", expected 1 to ",
                 found.layers());
    for (std::size_t i = 0; i < found.layers(); ++i)
      add(found, i, 1.0 / static_cast<double>(clip.codes.size()), layers[i]);
    progress.update(static_cast<std::int64_t>(frames.size()));
    if (options.output.empty()) continue;
    const std::size_t layer = options.layer > 0 ? static_cast<std::size_t>(options.layer - 1) : found.layers() - 1;
    for (const Frame& frame : decoder.push(codes)) {
      const Frame picture = picture_of(frame, found, layer);
      WriteOptions writing;
      writing.fps = model.fps();
      if (!writer) writer = std::make_unique<VideoWriter>(options.output, picture.width(), picture.height(), writing);
      writer->write(picture);
    }
  }
  if (writer) writer->close();
  if (common.json) {
    std::printf("%s\n", to_json(model, options, clip, layers, names).dump().c_str());
  } else {
    print(layers, names);
    if (writer) std::printf("%s: left the experts, right where the model looked\n", options.output.c_str());
  }
}

}  // namespace

void add_inspect(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("inspect", "Where experts and attention went, in a video or for a prompt");
  auto options = std::make_shared<Options>();
  command->add_option("source", options->source, "A video, or a prompt to make one from")->required();
  command->add_option("--prompt", options->prompt, "A video's prompt (default: the one in its record)");
  command->add_option("-o,--output", options->output, "Write a video with both heat maps");
  command->add_option("--layer", options->layer, "The layer whose experts it shows, from 1 (default: the last one)")
      ->check(CLI::PositiveNumber);
  command->add_option("--seconds", options->seconds, "So much of the video, or of the rollout")
      ->check(CLI::Range(0.05, 600.0))
      ->capture_default_str();
  command->add_flag("--force", options->force, "Replace an existing file");
  command->footer("Example: orrery inspect \"a red ball bounces on the floor\" -o inside.mp4");
  command->callback([options, &common] { inspect(*options, common); });
}

}  // namespace orrery::cli
