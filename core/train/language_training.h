// Next-token training of the transformer: cross entropy with weights a token, the indexer's loss, router biases.
#pragma once

#include "core/model/transformer.h"
#include "core/train/trainable.h"

namespace orrery {

struct LanguageTrainingConfig {
  DType compute = DType::bf16;
  IndexerTraining indexer = IndexerTraining::sparse;  ///< after the warm-up: sparse or straight_through
  double indexer_weight = 1.0;                        ///< of the indexer's KL loss
  std::int64_t indexer_warmup = 1000;                 ///< steps of dense attention before the indexer selects
  double mtp_weight = 0.3;                            ///< of the multi-token-prediction loss
  double balance_weight = 1e-4;                       ///< of the experts' sequence-wise balance loss
  /// Of the router's balancing bias (Transformer::update_router_bias), times the root of the learning rate's factor: at
  /// the end the router moves less, and the bias takes the mean of more steps. Relative to the scores, so that one rate
  /// fits small batches and large ones.
  double bias_rate = 0.1;
  bool checkpoint = false;  ///< recompute layers in backward
  /// Scheduled sampling in parallel (Mihaylova and Martins 2019, arXiv 1906.07651): up to this share of a sequence's
  /// codes stand in the input as the model itself would draw them after the true ones; targets stay true. It learns to
  /// go on from its own slips.
  double own_draws = 0;
};

/// batch.tensors: ids [B, S] i32 (inputs), targets [B, S] i32 (ids before corruption; −1: not predicted), weights [B,
/// S] f32 of predicting that position's token.
class LanguageTraining : public Trainable {
 public:
  LanguageTraining(Transformer& model, LanguageTrainingConfig config) : model_(model), config_(config) {}

  const ParameterList& parameters() const override { return model_.parameters(); }
  /// Metrics: "loss_token"; for a video model "loss_first", "loss_still" and "loss_moving": its codes in a clip's first
  /// latent frame, where the code one latent frame before is the same, and where it is another; "utilisation" (mean
  /// load over largest, scored layers).
  StepLoss loss(const Batch& batch, std::int64_t step, bool training) override;
  void sum_over(RankGroup& ranks) override;
  void after_step(std::int64_t step, double schedule) override;
  /// The router's balancing biases: the mean of those that `count` batches move on from the present ones. Averaged
  /// weights are no step's weights, and the average of their biases is not the bias that evens them out.
  void settle(const std::function<Batch(std::int64_t)>& batch, std::int64_t count) override;
  void save(const std::string& folder) const override;

 private:
  Tensor with_own_draws(const Tensor& ids, const Tensor& targets, std::int64_t step) const;

  Transformer& model_;
  LanguageTrainingConfig config_;
  std::vector<ExpertLoad> loads_;  ///< summed since the last step
};

}  // namespace orrery
