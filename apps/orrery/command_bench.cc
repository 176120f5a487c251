// orrery bench: figures that a command prints again.
#include "apps/orrery/command_bench.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/pipeline/codec_bench.h"
#include "apps/pipeline/decode_bench.h"
#include "apps/pipeline/expert_bench.h"
#include "apps/pipeline/prompt_bench.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/model/checkpoint.h"

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
  command->add_option("--tries", options->tries, "Most goes at a second, as of orrery generate")->capture_default_str();
  command->add_option("--scenes", options->scenes, "Scenes to draw from (default: all)");
  command->add_option("--cfg-scale", options->cfg_scale, "Guidance, as of orrery generate")->capture_default_str();
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

struct DecodeOptions {
  pipeline::DecodeBenchOptions bench;
  std::string config, weights = "bf16", save;
  std::int64_t train_batch = 0, train_length = 512, train_steps = 5;
};

DType decode_dtype(const std::string& name) {
  return name == "int8" ? DType::i8 : name == "f32" ? DType::f32 : DType::bf16;
}

Transformer bench_model(const DecodeOptions& options, const CommonOptions& common) {
  if (options.config.empty()) return load_model(pipeline::find_model(common.model));
  Random random(static_cast<std::uint64_t>(common.seed));
  return Transformer(read_model_config(options.config), random);
}

void bench_decoding(const DecodeOptions& options, const CommonOptions& common) {
  const Transformer model = bench_model(options, common);
  if (!options.save.empty()) {
    std::filesystem::create_directories(options.save);
    save_model(model, options.save, StoredAs::f32);
  }
  if (options.train_batch > 0) {
    const DType compute = options.weights == "f32" ? DType::f32 : DType::bf16;
    const double seconds =
        pipeline::bench_training_step(model, options.train_batch, options.train_length, compute, options.train_steps);
    const Json json = Json::object({{"train_step_s", seconds},
                                    {"tokens", options.train_batch * options.train_length},
                                    {"compute", name_of(compute)}});
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  const Decoder decoder(model, decode_dtype(options.weights));
  Progress bar("bench", "tokens", options.bench.contexts.back());
  const auto rows = pipeline::bench_decode(decoder, options.bench, [&bar](std::int64_t done) { bar.update(done); });
  const Decoder::WeightBytes bytes = decoder.weight_bytes();
  const double reading = pipeline::bench_weight_reading(bytes, options.bench.seed);
  std::printf("%s", common.json ? (pipeline::decode_bench_json(rows, bytes, reading).dump() + "\n").c_str()
                                : pipeline::decode_bench_table(rows, bytes, reading).c_str());
}

void add_decoding(CLI::App& bench, CommonOptions& common) {
  CLI::App* command = bench.add_subcommand("decode", "Tokens a second at any context, against reading the weights");
  auto options = std::make_shared<DecodeOptions>();
  command->add_option("--config", options->config, "A configuration with random weights, instead of a model");
  command->add_option("--weights", options->weights, "f32, bf16 or int8")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command->add_option("--contexts", options->bench.contexts, "Tokens before the measured ones, ascending")
      ->capture_default_str();
  command->add_option("--tokens", options->bench.tokens, "Tokens to measure at each")->capture_default_str();
  command->add_option("--chunk", options->bench.chunk, "Tokens a step on the way there")->capture_default_str();
  command->add_option("--save", options->save, "Folder to write the model to, for others to measure");
  command->add_option("--train-batch", options->train_batch,
                      "Instead of decoding: seconds a training step of so many sequences");
  command->add_option("--train-length", options->train_length, "Tokens of each")->capture_default_str();
  command->add_option("--train-steps", options->train_steps, "Steps, of which the fastest counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->footer(
      "Example: orrery bench decode --config tests/bench/long_context.json --weights int8 --contexts 16384 65536");
  command->callback([options, &common] {
    options->bench.seed = static_cast<std::uint64_t>(common.seed);
    bench_decoding(*options, common);
  });
}

struct ExpertOptions {
  pipeline::ExpertBenchOptions bench;
  std::string config;
};

void bench_experts(const ExpertOptions& options, const CommonOptions& common) {
  const ModelConfig config = read_model_config(options.config);
  Progress bar("bench", "steps", options.bench.steps);
  const auto result = pipeline::bench_experts(config, options.bench, [&bar](std::int64_t done) { bar.update(done); });
  std::printf("%s", common.json ? (pipeline::expert_bench_json(result).dump() + "\n").c_str()
                                : pipeline::expert_bench_table(result).c_str());
}

void add_experts(CLI::App& bench, CommonOptions& common) {
  CLI::App* command = bench.add_subcommand("experts", "How evenly experts are used after a short training on text");
  auto options = std::make_shared<ExpertOptions>();
  command->add_option("--config", options->config, "A configuration, trained from random weights")->required();
  command->add_option("--text", options->bench.text, "Files, and folders of files, to train on and to measure")
      ->required();
  command->add_option("--steps", options->bench.steps, "Training steps")->capture_default_str();
  command->add_option("--batch", options->bench.batch, "Sequences a step")->capture_default_str();
  command->add_option("--length", options->bench.length, "Tokens of each")->capture_default_str();
  command->add_option("--tokens", options->bench.tokens, "Tokens measured at least, of blocks left out of training")
      ->capture_default_str();
  command->add_option("--lr", options->bench.lr, "Learning rate")->capture_default_str();
  command->add_option("--bias-rate", options->bench.training.bias_rate, "Of the router's balancing bias")
      ->capture_default_str();
  command->add_option("--settle", options->bench.settle_batches, "Batches that the biases are fitted on at the end")
      ->capture_default_str();
  command->add_option("--balance-weight", options->bench.training.balance_weight, "Of the sequence-wise balance loss")
      ->capture_default_str();
  command->footer("Example: orrery bench experts --config tests/bench/experts.json --text core docs");
  command->callback([options, &common] {
    options->bench.seed = static_cast<std::uint64_t>(common.seed);
    bench_experts(*options, common);
  });
}

}  // namespace

void add_bench(CLI::App& app, CommonOptions& common) {
  CLI::App* command = app.add_subcommand("bench", "Measurements of models and machine");
  command->require_subcommand(1);
  add_prompts(*command, common);
  add_codec(*command, common);
  add_decoding(*command, common);
  add_experts(*command, common);
  add_bench_ops(*command, common);
}

}  // namespace orrery::cli
