// What the trainer knows of a model and of data: nothing more.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/nn/parameters.h"
#include "core/train/rank_group.h"

namespace orrery {

/// Tensors whose meaning is between the source and the model.
struct Batch {
  std::vector<Tensor> tensors;
};

/// Data by index: batch(i) is a pure function of i, so that a resumed run sees what an uninterrupted one would.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Called from several threads at once.
  virtual Batch batch(std::uint64_t index) const = 0;
};

using Metrics = std::vector<std::pair<std::string, double>>;

struct StepLoss {
  Tensor loss;  ///< one element, recorded on the tape
  Metrics metrics;
};

class Trainable {
 public:
  virtual ~Trainable() = default;
  virtual const ParameterList& parameters() const = 0;
  /// Forward pass at a step (0-based, counted over all resumes: what depends on the step must take it from here).
  /// `training` is false in validation.
  virtual StepLoss loss(const Batch& batch, std::int64_t step, bool training) = 0;
  /// Several ranks train: what this rank's batches gave since the last step, besides gradients, becomes the sum over
  /// all.
  virtual void sum_over(RankGroup& ranks) { static_cast<void>(ranks); }
  /// After the optimiser moved the parameters (router biases live here). `schedule`: the learning rate's factor.
  virtual void after_step(std::int64_t step, double schedule) { static_cast<void>(step), static_cast<void>(schedule); }
  /// A run is over and the weights that will be written are in place: fits to them what gradients do not teach (router
  /// biases), on `count` batches that training did not see.
  virtual void settle(const std::function<Batch(std::int64_t)>& batch, std::int64_t count) {
    static_cast<void>(batch), static_cast<void>(count);
  }
  /// Writes what a user loads (config and weights) into an existing folder.
  virtual void save(const std::string& folder) const = 0;
};

}  // namespace orrery
