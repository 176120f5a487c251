// orrery describe: video → words.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/pipeline/clip_input.h"
#include "apps/pipeline/describe.h"
#include "core/io/json.h"

namespace orrery::cli {
namespace {

struct Options {
  std::vector<std::string> videos;
  double start = 0;
};

void describe(const Options& options, const CommonOptions& common) {
  const pipeline::LoadedModel model(pipeline::find_model(common.model));
  Json clips = Json::array();
  for (const std::string& video : options.videos) {
    const auto codes = pipeline::encode_window(model, video, options.start, pipeline::describe_latents(model));
    const std::string caption = pipeline::describe(model, codes);
    if (common.json) {
      clips.push_back(Json::object({{"file", video}, {"caption", caption}, {"start", options.start}}));
    } else {
      std::printf("%s: %s\n", video.c_str(), caption.c_str());
    }
  }
  if (common.json) std::printf("%s\n", Json::object({{"clips", clips}}).dump().c_str());
}

}  // namespace

void add_describe(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("describe", "What happens in a video, in a sentence");
  auto options = std::make_shared<Options>();
  command->add_option("videos", options->videos, "Videos")->required();
  command->add_option("--start", options->start, "Second at which the part that is looked at begins (default: 0)")
      ->check(CLI::NonNegativeNumber);
  command->footer("Example: orrery describe ball.mp4");
  command->callback([options, &common] { describe(*options, common); });
}

}  // namespace orrery::cli
