// orrery simulate: a clip from the physics engine, with its ground truth, or a twin that breaks a law.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "physics_eval/worlds/annotations_json.h"
#include "physics_eval/worlds/from_caption.h"
#include "physics_eval/worlds/world.h"
#include "video/frames/contact_sheet.h"
#include "video/frames/frame_hash.h"
#include "video/io/writer.h"

namespace orrery::cli {
namespace {

struct Options {
  std::string what, output, annotations, sheet, corrupt, actions, split = "in";
  int width = 0, height = 0, corrupt_frame = 0;
  double seconds = 0, fps = 0;
  std::vector<std::string> settings, colours;
  bool list = false, force = false;
};

void print_list(bool json) {
  if (json) {
    Json scenes = Json::array(), kinds = Json::array();
    for (const worlds::SceneInfo& scene : worlds::scene_registry()) {
      scenes.push_back(Json::object(
          {{"name", scene.name}, {"description", scene.description}, {"fps", scene.fps}, {"seconds", scene.seconds}}));
    }
    for (const worlds::CorruptionKind& kind : worlds::corruption_kinds())
      kinds.push_back(Json::object({{"name", kind.name}, {"law", kind.law}}));
    std::printf("%s\n", Json::object({{"scenes", scenes}, {"corruptions", kinds}}).dump().c_str());
    return;
  }
  std::printf("Scenes:\n");
  for (const worlds::SceneInfo& scene : worlds::scene_registry())
    std::printf("  %-20s %s\n", std::string(scene.name).c_str(), std::string(scene.description).c_str());
  std::printf("\nCorruptions (--corrupt):\n");
  for (const worlds::CorruptionKind& kind : worlds::corruption_kinds())
    std::printf("  %-20s %s\n", std::string(kind.name).c_str(), std::string(kind.law).c_str());
}

std::map<std::string, double> read_settings(const std::vector<std::string>& settings) {
  std::map<std::string, double> overrides;
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    char* end = nullptr;
    const double value = equals == std::string::npos ? 0 : std::strtod(setting.c_str() + equals + 1, &end);
    ORRERY_CHECK(equals != std::string::npos && equals > 0 && equals + 1 < setting.size() && *end == '\0',
                 "--set found '", setting, "', expected NAME=NUMBER, e.g. gravity=1.62");
    overrides[setting.substr(0, equals)] = value;
  }
  return overrides;
}

// "a red ball bounces" → "a-red-ball-bounces".
std::string slug(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
    if (out.size() >= 60) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

worlds::WorldSpec make_spec(const Options& options, std::uint64_t seed, const worlds::SceneInfo** scene) {
  worlds::WorldSpec spec;
  spec.seed = seed;
  spec.split = options.split == "out" ? worlds::Split::out_of_distribution : worlds::Split::in_distribution;
  spec.overrides = read_settings(options.settings);
  spec.colours = options.colours;
  spec.actions = worlds::parse_actions(options.actions);
  const auto& all = worlds::scene_registry();
  const bool named =
      std::any_of(all.begin(), all.end(), [&](const worlds::SceneInfo& row) { return row.name == options.what; });
  spec.width = options.width;
  spec.height = options.height;
  if (named) {
    spec.scene = options.what;
  } else {
    // One word that is no scene is a misspelt name unless it fits as a caption.
    worlds::WorldSpec look = spec;
    look.width = look.height = 64;
    worlds::set_from_caption(look, options.what);
    spec.scene = look.scene, spec.seed = look.seed, spec.colours = look.colours;
  }
  *scene = &worlds::find_scene(spec.scene);
  spec.fps = options.fps > 0 ? options.fps : (*scene)->fps;
  const int usual = spec.scene.rfind("phyworld", 0) == 0 ? 256 : 512;
  if (spec.width == 0) spec.width = options.height > 0 ? options.height : usual;
  if (spec.height == 0) spec.height = options.width > 0 ? options.width : usual;
  return spec;
}

Json provenance(const worlds::World& world, int frames) {
  const worlds::Annotations all = world.describe();
  Json parameters = Json::object();
  for (const auto& [name, value] : all.parameters) parameters.set(name, value);
  Json json = Json::object({{"tool", "orrery simulate"},
                            {"schema", 1},
                            {"scene", all.scene},
                            {"seed", all.seed},
                            {"caption", all.caption},
                            {"fps", all.fps},
                            {"frames", frames}});
  json.set("split", world.spec().split == worlds::Split::in_distribution ? "in" : "out");
  json.set("parameters", std::move(parameters));
  if (world.spec().corruption.has_value()) json.set("corruption", world.spec().corruption->kind);
  return json;
}

void run(const Options& options, CommonOptions& common) {
  if (options.list) return print_list(common.json);
  ORRERY_CHECK(!options.what.empty(), "simulate needs a scene's name or a caption; --list shows the scenes");
  std::uint64_t seed = static_cast<std::uint64_t>(common.seed);
  if (common.seed < 0) {
    seed = std::random_device{}();
    if (!common.json) std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  }
  const worlds::SceneInfo* scene = nullptr;
  worlds::WorldSpec spec = make_spec(options, seed, &scene);
  const double seconds = options.seconds > 0 ? options.seconds : scene->seconds;
  const double wanted = seconds * spec.fps;
  ORRERY_CHECK(wanted < 1e7, "--seconds ", seconds, " at ", spec.fps, " frames a second are too many frames");
  const int frames = std::max(1, static_cast<int>(std::lround(wanted)));
  if (!options.corrupt.empty()) {
    spec.corruption = worlds::CorruptionSpec{
        options.corrupt, options.corrupt_frame > 0 ? options.corrupt_frame : std::max(1, frames / 3)};
    ORRERY_CHECK(spec.corruption->frame < frames, "--corrupt-frame is ", spec.corruption->frame,
                 ", expected less than the clip's ", frames, " frames");
  }
  const std::string output =
      options.output.empty() ? slug(options.what) + "-" + std::to_string(seed) + ".mp4" : options.output;
  for (const std::string& path : {output, options.annotations, options.sheet}) {
    ORRERY_CHECK(path.empty() || options.force || !std::filesystem::exists(path), path, " exists; --force replaces it");
  }
  worlds::World world(spec);
  worlds::Annotations all = world.describe();
  if (spec.corruption.has_value()) all.corruption = worlds::judge_corruption(spec, frames);
  WriteOptions write;
  write.fps = spec.fps;
  write.metadata = provenance(world, frames).dump();
  // "-o ref.mp4 --annotations ref.json": the ground truth takes the sidecar's name and holds all that it would.
  write.sidecar = options.annotations.empty() || sidecar_path(output) != options.annotations;
  VideoWriter writer(output, spec.width, spec.height, write);
  Progress progress("simulate", "frames", frames);
  FrameHash hash;
  Frame frame;
  // Twelve frames from the first two and a half seconds, where most happens.
  const int stride = std::max(1, std::min(frames, static_cast<int>(2.5 * spec.fps)) / 12);
  std::vector<Frame> shown;
  for (int i = 0; i < frames; ++i) {
    if (i > 0) world.step();
    world.draw(frame);
    hash.update(frame);
    writer.write(frame);
    if (!options.sheet.empty() && i % stride == 0 && shown.size() < 12) shown.push_back(frame);
    if (!options.annotations.empty()) all.frames.push_back(world.truth());
    progress.update(i + 1);
  }
  writer.close();
  if (!options.annotations.empty()) write_file(options.annotations, worlds::to_json(all).dump() + "\n");
  if (!options.sheet.empty()) {
    ContactSheet sheet;
    sheet.columns = 12;
    write_image(options.sheet, make_contact_sheet(shown, {}, sheet));
  }
  if (common.json) {
    Json clip = Json::object({{"file", output},
                              {"frames", frames},
                              {"fps", spec.fps},
                              {"width", spec.width},
                              {"height", spec.height},
                              {"seconds", frames / spec.fps},
                              {"scene", spec.scene},
                              {"seed", spec.seed},
                              {"caption", all.caption},
                              {"frames_sha256", hash.finish()}});
    if (all.corruption.has_value())
      clip.set("corruption", Json::object({{"kind", all.corruption->kind},
                                           {"frame", all.corruption->frame},
                                           {"observable", all.corruption->observable}}));
    std::printf("%s\n", Json::object({{"clips", Json::Array{clip}}}).dump().c_str());
  } else {
    std::printf("%s: %s (%s, seed %llu)\n", output.c_str(), all.caption.c_str(), spec.scene.c_str(),
                static_cast<unsigned long long>(spec.seed));
    if (all.corruption.has_value())
      std::printf("%s from frame %d on%s\n", all.corruption->kind.c_str(), all.corruption->frame,
                  all.corruption->observable ? "" : " (cannot be seen in this clip)");
  }
}

}  // namespace

void add_simulate(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("simulate", "A clip from the physics engine, with its ground truth");
  auto options = std::make_shared<Options>();
  command->add_option("scene", options->what,
                      "A scene's name, or a caption such as \"a red ball bounces on the floor\"");
  command->add_flag("--list", options->list, "List scenes and corruptions");
  command->add_option("-o,--output", options->output,
                      "File to write (default: from scene and seed); the extension says the format");
  command->add_option("-W,--width", options->width, "Pixels across (default 512)")->check(CLI::Range(8, 4096));
  command->add_option("-H,--height", options->height, "Pixels down (default 512)")->check(CLI::Range(8, 4096));
  command->add_option("--seconds", options->seconds, "Length (default: the scene's, mostly 10)")
      ->check(CLI::PositiveNumber);
  command->add_option("--fps", options->fps, "Frames a second (default: the scene's, mostly 24)")
      ->check(CLI::PositiveNumber);
  command->add_option("--set", options->settings, "A parameter: NAME=NUMBER, e.g. gravity=1.62; may be repeated");
  command->add_option("--colour", options->colours, "Colours of the first bodies, e.g. red blue");
  command->add_option("--split", options->split, "Parameter ranges: in or out of the training distribution")
      ->check(CLI::IsMember({"in", "out"}))
      ->capture_default_str();
  command->add_option("--actions", options->actions, "Pushes, e.g. \"24:push-right@0.5,0.7;48:push-up@0.2,0.9\"");
  command->add_option("--corrupt", options->corrupt, "Break a law (see --list)");
  command
      ->add_option("--corrupt-frame", options->corrupt_frame,
                   "First frame of the break (default: a third into the clip)")
      ->check(CLI::PositiveNumber);
  command->add_option("--annotations", options->annotations, "Write the ground truth as JSON");
  command->add_option("--sheet", options->sheet, "Write twelve frames of the first 2.5 s on one page (.png)");
  command->add_flag("--force", options->force, "Replace existing files");
  command->footer("Example: orrery simulate bounce -o ref.mp4 --annotations ref.json --set gravity=1.62");
  command->callback([options, &common] { run(*options, common); });
}

}  // namespace orrery::cli
