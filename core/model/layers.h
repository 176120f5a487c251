// The parts of a layer, composed from core/ops; transformer.cc strings them together.
#pragma once

#include "core/model/rope_table.h"
#include "core/model/transformer.h"

namespace orrery {

/// What every layer of one forward pass shares.
struct LayerContext {
  const ModelConfig& config;
  const ForwardOptions& options;
  std::int64_t batch, length;
  Tensor ids;                          ///< [B·S] i32, for hash layers
  RopeTable main_rope, compress_rope;  ///< tokens' positions
  RopeTable csa_rope, hca_rope;        ///< entries' positions

  LayerContext(const ModelConfig& config, const ForwardOptions& options, const Tensor& ids);
};

struct AttentionResult {
  Tensor out;           ///< [B·S, hidden]
  Tensor indexer_loss;  ///< one element or undefined
};

/// Attention of one layer (V4, §2.3). h [B·S, hidden], already normed.
AttentionResult attention(const Tensor& h, AttentionKind kind, const AttentionWeights& weights,
                          const LayerContext& context);

/// Mixture of experts of one layer (V4, §2.1). h [B·S, hidden], already normed; `load` receives tokens per expert.
Tensor mixture_of_experts(const Tensor& h, MlpKind kind, const MoeWeights& weights, const LayerContext& context,
                          std::vector<std::int64_t>& load);

struct LayerResult {
  Tensor state;  ///< [B·S, hc_mult, hidden]
  Tensor indexer_loss;
  std::vector<std::int64_t> load;
};

/// One block: mHC around attention, mHC around the experts. state [B·S, hc_mult, hidden].
LayerResult layer_forward(const Tensor& state, const LayerWeights& weights, const LayerContext& context);

}  // namespace orrery
