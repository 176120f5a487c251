// orrery data make|import: data sets from the worlds, or from one's own videos and captions.
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/pipeline/data_set.h"
#include "core/base/error.h"
#include "core/io/json.h"

namespace orrery::cli {
namespace {

struct Options {
  pipeline::MakeDataOptions make;
  double seconds = 2;
  int size = 64;
  std::string split = "in", shard, import_folder;
};

void report(const pipeline::DataReport& result, const std::string& folder, CommonOptions& common) {
  if (common.json) {
    Json refused = Json::array();
    for (const auto& [file, reason] : result.refused)
      refused.push_back(Json::object({{"file", file}, {"reason", reason}}));
    Json json =
        Json::object({{"folder", folder}, {"made", result.made}, {"found", result.found}, {"left", result.left}});
    json.set("left_out", std::move(refused));
    std::printf("%s\n", json.dump().c_str());
  } else {
    for (const auto& [file, reason] : result.refused) std::fprintf(stderr, "left out: %s\n", reason.c_str());
    std::printf("%s: %llu clips made, %llu were there, %llu left\n", folder.c_str(),
                static_cast<unsigned long long>(result.made), static_cast<unsigned long long>(result.found),
                static_cast<unsigned long long>(result.left));
    if (result.left > 0) std::printf("Run the same command again to go on.\n");
  }
  if (!result.refused.empty()) common.exit_code = 1;
}

void make(Options& options, CommonOptions& common) {
  pipeline::MakeDataOptions& to_make = options.make;
  ORRERY_CHECK(common.seed >= 0, "data make needs a fixed --seed, found ", common.seed);
  to_make.seed = static_cast<std::uint64_t>(common.seed);
  to_make.sample.width = to_make.sample.height = options.size;
  to_make.sample.frames = static_cast<int>(std::lround(options.seconds * to_make.sample.fps)) + 1;
  to_make.sample.split = options.split == "out" ? worlds::Split::out_of_distribution : worlds::Split::in_distribution;
  for (const std::string& scene : to_make.sample.scenes) worlds::find_scene(scene);
  if (!options.shard.empty()) {
    unsigned long long shard = 0, shards = 0;
    char rest = 0;
    ORRERY_CHECK(std::sscanf(options.shard.c_str(), "%llu/%llu%c", &shard, &shards, &rest) == 2, "--shard found '",
                 options.shard, "', expected i/n, e.g. 0/4");
    to_make.shard = shard, to_make.shards = shards;
  }
  to_make.stop = stop_on_interrupt();
  report(pipeline::make_data_set(to_make), to_make.folder, common);
}

}  // namespace

void add_data(CLI::App& app, CommonOptions& common) {
  CLI::App* data = app.add_subcommand("data", "Make a data set from the worlds, or import one's own videos");
  data->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* command =
      data->add_subcommand("make", "A captioned, annotated data set; run again to go on where it stopped");
  command->add_option("-o,--out", options->make.folder, "Folder")->required();
  command->add_option("--count", options->make.count, "Clips")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--seconds", options->seconds, "Length of a clip")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--fps", options->make.sample.fps, "Frames a second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--size", options->size, "Pixels a side")->check(CLI::Range(8, 4096))->capture_default_str();
  command->add_option("--scenes", options->make.sample.scenes, "Scenes to draw from (default: all)");
  command->add_option("--split", options->split, "Parameter ranges: in or out of the training distribution")
      ->check(CLI::IsMember({"in", "out"}))
      ->capture_default_str();
  command->add_option("--action-share", options->make.sample.action_share, "Share of clips with pushes in them")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--format", options->make.format, "mp4, or mkv (lossless)")
      ->check(CLI::IsMember({"mp4", "mkv"}))
      ->capture_default_str();
  command->add_option("--shard", options->shard, "Make only shard i of n: i/n");
  command->footer("Example: orrery data make --count 10000 -o data/worlds");
  command->callback([options, &common] { make(*options, common); });
  CLI::App* import = data->add_subcommand(
      "import", "Make a data set of a folder with videos and captions (clip.mp4 with clip.txt, or captions.jsonl)");
  import->add_option("folder", options->import_folder, "Folder")->required();
  import->footer("Example: orrery data import my-videos");
  import->callback([options, &common] { report(pipeline::import_data_set(options->import_folder), options->import_folder, common);
});
}  // namespace orrery::cli

}  // namespace orrery::cli
