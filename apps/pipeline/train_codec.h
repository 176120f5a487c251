// orrery train codec: a latent codec from a TOML configuration, on clips drawn from the worlds.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/nn/parameters.h"
#include "core/train/rank_group.h"

namespace orrery::pipeline {

struct TrainOptions {
  std::string config;           ///< TOML file
  std::string out;              ///< training folder; resumed when it holds a state
  std::string init;             ///< folder whose weights start the run, where names and shapes fit; moments start fresh
  std::string device = "auto";  ///< auto, cpu or cuda
  double max_seconds = 0;       ///< 0: as many steps as the configuration says
  const std::atomic<bool>* stop = nullptr;
  std::shared_ptr<RankGroup> ranks;  ///< processes that train together; null: this one alone
};

/// Moves the parameters to the device that `name` asks for ("auto": a CUDA device where there is one) and says so. The
/// cores then belong to the threads that prepare data.
void move_to_device(const ParameterList& parameters, const std::string& name);

/// Trains until done, out of time or stopped; `out` then holds the codec and the state to go on from.
void train_codec(const TrainOptions& options);

}  // namespace orrery::pipeline
