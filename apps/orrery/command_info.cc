// orrery info: what a clip, a model or this build is, what a configuration costs.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/model_cost.h"
#include "apps/orrery/model_info.h"
#include "apps/orrery/video_info.h"
#include "core/base/parallel.h"

namespace orrery::cli {

void add_info(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand(
      "info", "What a clip or a model is, or what a configuration costs; without an argument, this build");
  struct Options {
    std::string path, config;
    std::int64_t context = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::Option* file = command->add_option("file", options->path, "A video, a picture, or a model's folder");
  CLI::Option* config = command->add_option("--config", options->config, "A model's config.json")->excludes(file);
  command->add_option("--context", options->context, "Tokens in the caches; the longest allowed where not given")
      ->needs(config);
  command->footer(
      "Example: orrery info clip.mp4 --json\n"
      "Example: orrery info models/orrery-64\n"
      "Example: orrery info --config models/reference/deepseek-v4-pro.json --context 1048576");
  command->callback([&common, options] {
    std::error_code none;  // what may not be looked at is no folder: the reader says why
    if (!options->config.empty()) {
      print_model_cost(options->config, options->context, common.json);
    } else if (std::filesystem::is_directory(options->path, none)) {
      print_model_info(options->path, common.json);
    } else if (!options->path.empty()) {
      print_video_info(options->path, common.json);
    } else if (common.json) {
      std::printf("{\"version\": \"0.1.0\", \"threads\": %d}\n", thread_count());
    } else {
      std::printf("orrery 0.1.0, %d threads\n", thread_count());
    }
  });
}

}  // namespace orrery::cli
