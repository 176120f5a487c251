// DeepSeek-V4's transformer over whole sequences, recorded on the tape: training, scoring and the reference for
// generation (core/generate has the step-by-step twin).
#pragma once

#include <vector>

#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/ops/loss.h"

namespace orrery {

/// How the lightning indexer takes part in a training step (DeepSeek-V3.2 report, §2.1).
enum class IndexerTraining {
  off,           ///< it selects; it learns nothing
  dense_warmup,  ///< attention sees all visible entries; the indexer learns their mass
  sparse,        ///< attention sees the selected entries; the indexer learns the mass over these
  /// Attention sees the selected entries; whatever is made of its output teaches the indexer what to select
  /// (core/ops/straight_through.h). The indexer has no loss of its own.
  straight_through,
};

struct ForwardOptions {
  DType compute = DType::f32;  ///< of activations and products: f32, or bf16 with f32 sums
  IndexerTraining indexer = IndexerTraining::off;
  bool mtp = false;         ///< run the multi-token-prediction block too
  bool balance = false;     ///< compute the experts' balance loss
  bool spread = false;      ///< measure how far scores lie apart, for bias balancing (ExpertLoad::squares)
  bool checkpoint = false;  ///< recompute each layer in backward instead of keeping it
};

/// Tokens per expert of one layer, in this batch.
struct ExpertLoad {
  std::int64_t layer = 0;
  MlpKind kind = MlpKind::moe;
  std::vector<std::int64_t> tokens;  ///< [experts]
  double squares = 0;  ///< Σ over tokens and experts of (score − the expert's mean score)²; 0: not asked for
};

struct ForwardResult {
  Tensor hidden;        ///< [B·S, hidden] after the last norm; logits = hidden · lm_headᵀ
  Tensor mtp_hidden;    ///< [B·S, hidden]: row (b, t) predicts token t + 2; the last row of a sequence is meaningless
  Tensor indexer_loss;  ///< one element: mean KL over CSA layers and queries; undefined when off
  Tensor balance_loss;  ///< one element: the scored layers' sum (core/model/layers.h); undefined when off
  std::vector<ExpertLoad> loads;
};

class Transformer {
 public:
  Transformer(ModelConfig config, Random& random);
  Transformer(ModelConfig config, TransformerWeights weights);

  const ModelConfig& config() const { return config_; }
  TransformerWeights& weights() { return weights_; }
  const TransformerWeights& weights() const { return weights_; }
  const ParameterList& parameters() const { return weights_.parameters; }

  /// ids [B, S] i32, each in [0, vocab); S ≥ 1. Throws InputError naming the first id out of range.
  ForwardResult forward(const Tensor& ids, const ForwardOptions& options = {}) const;

  /// [vocab, hidden]: the rows that logits are products with (lm_head, with the codes' digits if it has them).
  Tensor head() const;

  /// Cross entropy of the next tokens' ids `targets` [B·S] i32 (negative: ignored) weighted by `weights` [B·S] f32,
  /// from `hidden` of forward().
  ops::HeadLoss loss(const Tensor& hidden, const Tensor& targets, const Tensor& weights) const;

  /// [B·S, vocab] f32, without the codes' extra digits. For tests and short sequences: training uses loss().
  Tensor logits(const Tensor& hidden) const;

  /// Bias balancing (V4, §2.1; arXiv 2408.15664, the update proportional to the error): the bias of a scored layer's
  /// expert moves by −rate · its load's excess over the mean, relative and at most 1 · the standard deviation of an
  /// expert's scores. Loads need their squares (ForwardOptions::spread).
  void update_router_bias(const std::vector<ExpertLoad>& loads, float rate);
  /// The balancing biases of the scored layers, [experts] each, themselves; not the MTP block's.
  std::vector<Tensor> router_biases() const;

  /// Parameters that one token uses: shared ones, plus top_k routed experts; embeddings left out.
  std::int64_t active_parameters() const;

 private:
  ModelConfig config_;
  TransformerWeights weights_;
};

}  // namespace orrery
