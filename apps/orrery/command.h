// A subcommand is one file: it adds itself to the app, and its callback runs when it was chosen.
#pragma once

#include <cstdint>
#include <string>

#include "core/tensor/device.h"

namespace CLI {
class App;
}

namespace orrery::cli {

/// Options common to all subcommands (../docs/cli.md).
struct CommonOptions {
  std::string device = "auto";
  int threads = 0;
  std::int64_t seed = 42;
  std::string model;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  /// The process exit code, set by a subcommand that ends with 3 (a threshold not met) or 1 (part of the work failed).
  int exit_code = 0;
};

/// Where clips are made: the CPU, unless a device is asked for by name.
inline Device generating_device(const CommonOptions& common) {
  return common.device == "auto" ? Device::cpu : device_from_name(common.device);
}

void add_bench(CLI::App& app, CommonOptions& common);
void add_batch(CLI::App& app, CommonOptions& common);
void add_convert(CLI::App& app, CommonOptions& common);
void add_describe(CLI::App& app, CommonOptions& common);
void add_inspect(CLI::App& app, CommonOptions& common);
void add_info(CLI::App& app, CommonOptions& common);
void add_data(CLI::App& app, CommonOptions& common);
void add_play(CLI::App& app, CommonOptions& common);
void add_encode(CLI::App& app, CommonOptions& common);
void add_decode(CLI::App& app, CommonOptions& common);
void add_generate(CLI::App& app, CommonOptions& common);
void add_replay(CLI::App& app, CommonOptions& common);
void add_simulate(CLI::App& app, CommonOptions& common);
void add_score(CLI::App& app, CommonOptions& common);
void add_train(CLI::App& app, CommonOptions& common);

/// Draws a training folder's log into it.
using PlotTraining = void (*)(const std::string& folder);
/// `train codec` and `train model` without what needs FFmpeg: the plot is the caller's; nullptr: no --plot.
void add_training(CLI::App& app, CommonOptions& common, PlotTraining plot_training);

}  // namespace orrery::cli
