// orrery score phyworld: PhyWorld's protocol (arXiv 2411.02385) on a model or on anyone's videos: velocity error in and
// out of distribution, with the ground truth's own error beside it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/command_score.h"
#include "apps/pipeline/generate.h"
#include "apps/pipeline/loaded_model.h"
#include "core/base/error.h"
#include "physics_eval/metrics/phyworld.h"
#include "physics_eval/worlds/scenes/phyworld.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::cli {

namespace {

namespace fs = std::filesystem;
using worlds::Split;

// The published figures leave the last of the 32 frames out; three frames are given.
constexpr int kFrames = 32, kJudged = 31, kGiven = 3, kTruthSize = 256;
constexpr std::array<const char*, 3> kScenarios{"uniform", "parabola", "collision"};

struct Arguments {
  int count = 20;
  std::string generated, make;
  double temperature = pipeline::kDefaultSampling.temperature;
};

// A clip of the protocol with its truth.
struct Case {
  std::string name, caption;
  bool collision = false;
  std::vector<Frame> frames;
  std::vector<std::array<std::array<double, 2>, 2>> truth;
  PhyWorldPair initial;
};

Case make_case(const std::string& scenario, Split split, int index, std::uint64_t seed, int size) {
  worlds::WorldSpec spec =
      worlds::phyworld_evaluation_spec("phyworld-" + scenario, split, static_cast<std::uint64_t>(index), seed);
  spec.width = spec.height = size;
  worlds::World world(spec);
  Case out;
  out.name = scenario + (split == Split::in_distribution ? "_in_" : "_out_") + std::to_string(index);
  out.caption = world.caption();
  out.collision = scenario == "collision";
  for (std::size_t i = 0; i < world.scene().bodies().size(); ++i) {
    out.initial.radius[i] = world.scene().bodies()[i].radius;
    out.initial.speed[i] = world.truth().extra.at("initial_speed" + std::to_string(i + 1));
  }
  for (int frame = 0; frame < kFrames; ++frame) {
    if (frame > 0) world.step();
    out.frames.push_back(world.draw());
    auto& at = out.truth.emplace_back();
    for (std::size_t i = 0; i < world.truth().bodies.size(); ++i)
      at[i] = {world.truth().bodies[i].position.x, world.truth().bodies[i].position.y};
  }
  return out;
}

// The scenario's figure, from mean velocities as published: uniform |mean v − v₀|, parabola the same against the truth
// in both components, collision a ball after the contact. nullopt where the evaluator has nothing to judge (a ball
// never whole in the picture, no frame after the contact).
std::optional<double> velocity_error(const Case& truth, const std::vector<Frame>& frames, PixelPitch pitch) {
  try {
    double error = 0;
    const std::span judged = std::span(frames).first(kJudged);
    if (truth.collision) {
      error = phyworld_two(judged, std::span(truth.truth).first(kJudged), truth.initial, pitch).after_mean_v_error;
    } else {
      std::vector<std::array<double, 2>> one;
      for (std::size_t i = 0; i < kJudged; ++i) one.push_back(truth.truth[i][0]);
      const PhyWorldOne score = phyworld_one(judged, one, truth.initial.radius[0], truth.initial.speed[0], pitch);
      error = truth.name.rfind("uniform", 0) == 0 ? score.mean_speed_error : score.mean_velocity_error;
    }
    if (!std::isfinite(error)) return std::nullopt;
    return error;
  } catch (const InputError&) {
    return std::nullopt;
  }
}

// Frames that a model goes on from: the protocol's three, or the whole latent frames that hold them.
std::int64_t given_frames(const pipeline::LoadedModel& model) {
  const CodecConfig& codec = model.codec().config();
  return decoded_frames(codec, latent_frames(codec, kGiven));
}

std::vector<Frame> continue_with(const pipeline::LoadedModel& model, const Case& truth, std::uint64_t seed,
                                 double temperature) {
  pipeline::ClipSpec spec;
  spec.given = encode_clip(model.codec(), std::span(truth.frames).first(static_cast<std::size_t>(given_frames(model))));
  spec.prompt = truth.caption, spec.seed = seed, spec.fps = model.fps(), spec.seconds = kFrames / model.fps();
  spec.sampling.temperature = temperature;
  std::vector<Frame> out;
  pipeline::for_each_frame(model, spec, {}, [&out](const Frame& frame) { out.push_back(frame); });
  out.resize(std::min<std::size_t>(out.size(), kFrames));
  return out;
}

// What the codec alone makes of the true frames: no model can be judged better.
std::vector<Frame> through_codec(const pipeline::LoadedModel& model, const Case& truth) {
  const CodecConfig& config = model.codec().config();
  const std::vector<std::int32_t> codes = encode_clip(model.codec(), truth.frames);
  const std::int64_t rows = model.height() / config.space_factor, columns = model.width() / config.space_factor;
  StreamingDecoder decoder(model.codec(), rows, columns);
  std::vector<Frame> out;
  for (std::span rest(codes); !rest.empty(); rest = rest.subspan(static_cast<std::size_t>(rows * columns)))
    for (Frame& frame : decoder.push(rest.first(static_cast<std::size_t>(rows * columns))))
      out.push_back(std::move(frame));
  out.resize(kFrames);
  return out;
}

// The file of a case in a folder of generated videos.
std::vector<Frame> generated_frames(const std::string& folder, const std::string& name) {
  for (const char* extension : {".mp4", ".mkv", ".webm", ".gif"}) {
    const fs::path path = fs::path(folder) / (name + extension);
    if (!fs::exists(path)) continue;
    Clip clip = read_video(path.string());
    ORRERY_CHECK(clip.frames.size() >= kJudged, path.string(), " has ", clip.frames.size(), " frames, expected ",
                 kJudged);
    clip.frames.resize(kJudged);
    return std::move(clip.frames);
  }
  throw InputError((fs::path(folder) / name).string() +
                   ".mp4 is missing (orrery score phyworld --make writes the set)");
}

struct Tally {
  double sum = 0;
  int count = 0;
  void add(const std::optional<double>& value) {
    if (value) sum += *value, ++count;
  }
  double mean() const { return count ? sum / count : std::numeric_limits<double>::quiet_NaN(); }
};

void write_set(const Arguments& arguments, std::uint64_t seed) {
  fs::create_directories(arguments.make);
  for (const char* scenario : kScenarios) {
    for (const Split split : {Split::in_distribution, Split::out_of_distribution}) {
      for (int i = 0; i < arguments.count; ++i) {
        const Case made = make_case(scenario, split, i, seed, kTruthSize);
        WriteOptions options;
        options.fps = 10;
        options.metadata = Json::object({{"caption", made.caption}, {"name", made.name}}).dump();
        write_video((fs::path(arguments.make) / (made.name + ".mkv")).string(), {10, made.frames}, options);
      }
    }
  }
}

void run(const Arguments& arguments, CommonOptions& common) {
  ORRERY_CHECK(arguments.count >= 1, "[score phyworld] ", arguments.count, " clips a scenario, expected at least 1");
  const std::uint64_t seed = static_cast<std::uint64_t>(std::max<std::int64_t>(0, common.seed));
  if (!arguments.make.empty()) return write_set(arguments, seed);
  std::unique_ptr<pipeline::LoadedModel> model;
  if (arguments.generated.empty()) model = std::make_unique<pipeline::LoadedModel>(pipeline::find_model(common.model));
  Json rows = Json::array();
  for (const char* scenario : kScenarios) {
    for (const Split split : {Split::in_distribution, Split::out_of_distribution}) {
      Tally truth, truth_renderer, codec, mine, mine_renderer;
      for (int i = 0; i < arguments.count; ++i) {
        const Case made = make_case(scenario, split, i, seed, model ? model->width() : kTruthSize);
        truth.add(velocity_error(made, made.frames, PixelPitch::published));
        truth_renderer.add(velocity_error(made, made.frames, PixelPitch::renderer));
        const std::vector<Frame> frames =
            model ? continue_with(*model, made, seed + static_cast<std::uint64_t>(i), arguments.temperature)
                  : generated_frames(arguments.generated, made.name);
        if (model) codec.add(velocity_error(made, through_codec(*model, made), PixelPitch::published));
        mine.add(velocity_error(made, frames, PixelPitch::published));
        mine_renderer.add(velocity_error(made, frames, PixelPitch::renderer));
      }
      const char* where = split == Split::in_distribution ? "in" : "out";
      Json row = Json::object({{"scenario", scenario},
                               {"split", where},
                               {"velocity_error", rounded_number(mine.mean())},
                               {"velocity_error_renderer_pitch", rounded_number(mine_renderer.mean())},
                               {"truth", rounded_number(truth.mean())},
                               {"truth_renderer_pitch", rounded_number(truth_renderer.mean())},
                               {"judged", mine.count},
                               {"clips", arguments.count}});
      if (model) row.set("codec_alone", rounded_number(codec.mean()));
      rows.push_back(std::move(row));
      if (common.json) continue;
      std::printf("%-10s %-4s velocity error %.4f (truth %.4f", scenario, where, mine.mean(), truth.mean());
      if (model) std::printf(", codec alone %.4f", codec.mean());
      std::printf("); renderer's pitch %.4f (truth %.4f); %d of %d judged\n", mine_renderer.mean(),
                  truth_renderer.mean(), mine.count, arguments.count);
    }
  }
  if (common.json) print_json(Json::object({{"given_frames", model ? given_frames(*model) : kGiven}, {"rows", rows}}));
}

}  // namespace

void add_score_phyworld(CLI::App& score, CommonOptions& common) {
  CLI::App* command =
      score.add_subcommand("phyworld", "PhyWorld's protocol: velocity error in and out of distribution");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("-n,--count", arguments->count, "Clips a scenario and split")->capture_default_str();
  command->add_option("--make", arguments->make, "Write the protocol's true videos here (SCENARIO_SPLIT_INDEX.mkv)");
  command->add_option("--generated", arguments->generated, "Score these videos of the same names instead of a model");
  command->add_option("--temperature", arguments->temperature, "Of the model's draws; 0: always the most likely token")
      ->capture_default_str();
  command->footer("Example: orrery score phyworld -m models/orrery-64 -n 50");
  command->callback([&common, arguments] { run(*arguments, common); });
}

}  // namespace orrery::cli
