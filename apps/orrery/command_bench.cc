// orrery bench: figures that a command prints again.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/pipeline/codec_bench.h"
#include "apps/pipeline/prompt_bench.h"
#include "core/base/error.h"
#include "core/base/progress.h"

namespace orrery::cli {
namespace {

void bench_prompts(const pipeline::PromptBenchOptions& options, const CommonOptions& common) {
  const pipeline::LoadedModel model(pipeline::find_model(common.model));
  if (!options.sheet_folder.empty()) std::filesystem::create_directories(options.sheet_folder);
  Progress bar("bench", "clips", options.count);
  const auto rows = pipeline::bench_prompts(
      model, options, [&bar](std::int64_t done) { bar.update(done); }, stop_on_interrupt());
  if (common.json) {
    std::printf("%s\n", pipeline::prompt_bench_json(rows, options).dump().c_str());
  } else {
    std::printf("%s", pipeline::prompt_bench_table(rows).c_str());
  }
}

void add_prompts(CLI::App& bench, CommonOptions& common) {
  CLI::App* command = bench.add_subcommand("prompts", "The model's clips of held-out sentences, measured by tracking");
  auto options = std::make_shared<pipeline::PromptBenchOptions>();
  command->add_option("--count", options->count, "Sentences")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_option("--seconds", options->seconds, "Length of a clip")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--scenes", options->scenes, "Scenes to draw from (default: all)");
  command->add_option("--temperature", options->sampling.temperature, "0: always the likeliest code")
      ->capture_default_str();
  command
      ->add_option("--min-p", options->sampling.min_p, "Leave out codes less likely than this share of the likeliest")
      ->capture_default_str();
  command->add_option("--top-p", options->sampling.top_p, "Smallest set of codes of this probability")
      ->capture_default_str();
  command->add_option("--sheets", options->sheet_folder, "Folder for contact sheets of the first 20 sentences");
  command->footer("Example: orrery bench prompts --count 200 --scenes bounce throw roll collide pendulum");
  command->callback([options, &common] {
    options->seed = static_cast<std::uint64_t>(common.seed);
    bench_prompts(*options, common);
  });
}

void bench_codec(pipeline::CodecBenchOptions options, const CommonOptions& common) {
  const LatentCodec codec = load_codec(pipeline::find_model(common.model));
  Progress bar("bench", "clips", options.count);
  const auto rows = pipeline::bench_codec(
      codec, options, [&bar](std::int64_t done) { bar.update(done); }, stop_on_interrupt());
  if (common.json) {
    std::printf("%s\n", pipeline::codec_bench_json(rows, options).dump().c_str());
  } else {
    std::printf("%s", pipeline::codec_bench_table(rows).c_str());
  }
}

void add_codec(CLI::App& bench, CommonOptions& common) {
  CLI::App* command = bench.add_subcommand("codec", "What the model's codec loses of held-out clips of the worlds");
  auto options = std::make_shared<pipeline::CodecBenchOptions>();
  command->add_option("--count", options->count, "Clips")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_option("--seconds", options->seconds, "Length of a clip")
      ->check(CLI::Range(0.5, 600.0))
      ->capture_default_str();
  command->add_option("--scenes", options->scenes, "Scenes to draw from (default: all)");
  command->add_option("--size", options->size, "Pixels a side")->check(CLI::Range(16, 1024))->capture_default_str();
  command->footer("Example: orrery bench codec --count 60 --scenes bounce throw roll collide pendulum");
  command->callback([options, &common] {
    options->seed = static_cast<std::uint64_t>(common.seed);
    bench_codec(*options, common);
  });
}

}  // namespace

void add_bench(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("bench", "Measurements of models and machine");
  command->require_subcommand(1);
  add_prompts(*command, common);
  add_codec(*command, common);
}

}  // namespace orrery::cli
