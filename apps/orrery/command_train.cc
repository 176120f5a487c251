// orrery train codec|model CONFIG.toml: training, resumed where its folder holds a state.
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/pipeline/train_codec.h"
#include "apps/pipeline/train_model.h"

namespace orrery::cli {

namespace {

CLI::App* add_kind(CLI::App& train, const std::string& name, const std::string& help,
                   std::shared_ptr<pipeline::TrainOptions> options, void (*run)(const pipeline::TrainOptions&)) {
  CLI::App* command = train.add_subcommand(name, help);
  command->add_option("config", options->config, "TOML configuration")->required();
  command->add_option("-o,--out", options->out,
                      "Training folder (default: next to the configuration, its name + \".run\")");
  command->add_option("--init", options->init, "Folder whose weights start the run (fresh optimiser moments)");
  command
      ->add_option("--max-seconds", options->max_seconds, "Stop with a checkpoint after this time (0: train all steps)")
      ->capture_default_str();
  command->callback([options, run] {
    if (options->out.empty()) options->out = options->config + ".run";
    options->stop = stop_on_interrupt();
    run(*options);
  });
  return command;
}

}  // namespace

void add_train(CLI::App& app, CommonOptions&) {
  CLI::App* train = app.add_subcommand("train", "Train a codec or a model from a data set or straight from the worlds");
  train->require_subcommand(1);
  add_kind(*train, "codec", "The latent codec: orrery train codec models/orrery-64/codec.toml -o out/codec",
           std::make_shared<pipeline::TrainOptions>(), pipeline::train_codec);
  add_kind(*train, "model", "The transformer: orrery train model models/orrery-64/model.toml -o out/model",
           std::make_shared<pipeline::TrainOptions>(), pipeline::train_model);
}

}  // namespace orrery::cli
