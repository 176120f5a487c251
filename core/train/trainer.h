// The training loop: schedule, accumulation, clipping, EMA, validation, log, checkpoints and exact resume.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/train/trainable.h"

namespace orrery {

struct TrainConfig {
  std::int64_t steps = 1000;
  std::int64_t accumulate = 1;  ///< batches a step, of all ranks together
  OptimizerConfig optimizer;
  std::int64_t warmup_steps = 100;
  double decay_fraction = 0.2;  ///< warm-up, stable, then this last share falls linearly to min_lr_ratio
  double min_lr_ratio = 0.05;
  double clip_norm = 1.0;       ///< global gradient norm; 0: none
  double ema = 0.999;           ///< decay of the averaged weights that are saved; 0: none
  std::int64_t log_every = 10;  ///< steps
  double checkpoint_seconds = 180;
  std::int64_t validate_every = 250;  ///< steps; 0: never
  std::int64_t validation_batches = 4;
  std::int64_t data_threads = 1;
  std::int64_t settle_batches = 64;  ///< forward passes at the end (Trainable::settle)
  double max_seconds = 0;            ///< stops (with a checkpoint) after this time; 0: none
  /// The schedule ends with max_seconds, however many steps that gives: for a machine that is lent for a time. Such a
  /// run does not repeat step by step, and a resumed one begins its time anew.
  bool schedule_by_time = false;
};

/// Reads the [train] and [optimizer] tables of a training configuration.
class Fields;
TrainConfig read_train_config(const Fields& fields);

/// The learning rate's factor at a step (0-based): linear warm-up, stable, linear decay over the last decay_fraction.
/// `done`: the share of the run that is over, where it is not step / steps.
double schedule_factor(const TrainConfig& config, std::int64_t step, double done = 0);

/// The decay of the averaged weights at a step (0-based): config.ema, and less at the start, so that they forget the
/// initial ones.
float average_decay(const TrainConfig& config, std::int64_t step);

/// One training run in a folder: `state/` (weights, optimiser moments, averages, counters: exact resume), `log.jsonl`,
/// and the model as users load it, refreshed at each checkpoint from the averaged weights.
class Trainer {
 public:
  /// Resumes when `folder` holds a state (its config's step count may have grown). Throws InputError when it does not
  /// fit.
  /// With `ranks` every process makes a trainer of its own for the same folder: each takes its share of a step's
  /// batches, which must divide by their number, and rank 0 writes. Losses and weights are those of one process (bit
  /// for bit with two ranks).
  Trainer(Trainable& model, std::shared_ptr<const BatchSource> data, TrainConfig config, std::string folder,
          std::shared_ptr<RankGroup> ranks = nullptr);
  ~Trainer();

  /// Named held-out sets; their mean loss and metrics are logged as "name/loss".
  void add_validation(const std::string& name, std::shared_ptr<const BatchSource> data);

  /// Trains until config.steps, max_seconds or `stop`; writes a checkpoint at the end. Returns the last step's loss.
  double run(const std::atomic<bool>* stop = nullptr);

  std::int64_t step() const { return step_; }

 private:
  bool leads() const { return !ranks_ || ranks_->rank() == 0; }
  std::int64_t own_batches() const { return config_.accumulate / (ranks_ ? ranks_->size() : 1); }
  StepLoss train_step();
  double share_done();
  void sum_over_ranks(double& loss, Metrics& metrics);
  bool any_rank(bool mine);
  void validate();
  void write_checkpoint();
  void settle();
  void load_state();
  void log_line(const std::string& kind, double loss, const Metrics& metrics);
  void swap_in_averages();

  Trainable& model_;
  std::shared_ptr<const BatchSource> all_data_, data_;  ///< of all ranks, and this one's share
  TrainConfig config_;
  std::string folder_;
  std::shared_ptr<RankGroup> ranks_;
  Optimizer optimizer_;
  struct HeldOut {
    std::string name;
    std::shared_ptr<const BatchSource> source;
    std::vector<Batch> batches;  ///< made once, at the first validation
  };
  std::vector<HeldOut> validation_;
  std::vector<Tensor> averages_;
  std::int64_t step_ = 0;
  double seconds_ = 0;  ///< trained so far, over all resumes
  double begin_ = 0;    ///< of this run, on a steady clock
  double waited_ = 0;   ///< seconds of this run without a batch to train on
  class Prefetcher;
  std::unique_ptr<Prefetcher> prefetcher_;
};

}  // namespace orrery
