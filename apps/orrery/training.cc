// orrery train codec|model|features CONFIG.toml: training, resumed where its folder holds a state.
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/interrupt.h"
#include "apps/orrery/mpi_group.h"
#include "apps/pipeline/train_codec.h"
#include "apps/pipeline/train_features.h"
#include "apps/pipeline/train_model.h"

namespace orrery::cli {

namespace {

CLI::App* add_kind(CLI::App& train, const std::string& name, const std::string& help,
                   void (*run)(const pipeline::TrainOptions&), const CommonOptions& common,
                   PlotTraining plot_training) {
  auto options = std::make_shared<pipeline::TrainOptions>();
  auto plot = std::make_shared<bool>(false);
  CLI::App* command = train.add_subcommand(name, help);
  command->add_option("config", options->config, "TOML configuration")->required();
  command->add_option("-o,--out", options->out,
                      "Training folder (default: next to the configuration, its name + \".run\")");
  command->add_option("--init", options->init, "Folder whose weights start the run (fresh optimiser moments)");
  command
      ->add_option("--max-seconds", options->max_seconds, "Stop with a checkpoint after this time (0: train all steps)")
      ->capture_default_str();
  if (plot_training)
    command->add_flag("--plot", *plot, "Draw the training log's curves to log.png in the training folder");
  command->callback([options, plot, run, &common, plot_training] {
    options->device = common.device;
    if (options->out.empty()) options->out = options->config + ".run";
    options->stop = stop_on_interrupt();
    options->ranks = open_mpi_group();
    run(*options);
    if (*plot) plot_training(options->out);
  });
  return command;
}

}  // namespace

void add_training(CLI::App& app, CommonOptions& common, PlotTraining plot_training) {
  CLI::App* train = app.add_subcommand("train", "Train a codec, a model or a video encoder straight from the worlds");
  train->require_subcommand(1);
  add_kind(*train, "codec", "The latent codec: orrery train codec models/orrery-64/codec.toml -o out/codec",
           pipeline::train_codec, common, plot_training);
  add_kind(*train, "model", "The transformer: orrery train model models/orrery-64/model.toml -o out/model",
           pipeline::train_model, common, plot_training);
  add_kind(*train, "features",
           "The video encoder behind the builtin features: orrery train features models/features-64/encoder.toml",
           pipeline::train_features, common, plot_training);
}

}  // namespace orrery::cli
