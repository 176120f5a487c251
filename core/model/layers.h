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
  Tensor ids;                          ///< [B·S] i32 on the CPU, for hash layers
  RopeTable main_rope, compress_rope;  ///< tokens' positions: [S, pairs], or with axes a row a token: [B·S, pairs]
  RopeTable csa_rope, hca_rope;        ///< entries' positions, likewise

  /// `ids` [B, S] on the CPU; the tables go to `device`.
  LayerContext(const ModelConfig& config, const ForwardOptions& options, const Tensor& ids, Device device);
  /// For the multi-token-prediction block: `next` ids at the places of `other`.
  LayerContext(const LayerContext& other, const Tensor& next);
};

/// Turns x [B, S, H, D] by a table of the context.
Tensor turn(const Tensor& x, const RopeTable& rope, bool inverse = false);

struct AttentionResult {
  Tensor out;           ///< [B·S, hidden]
  Tensor indexer_loss;  ///< one element or undefined
};

/// Attention of one layer, by its family (the table in attention.cc). h [B·S, hidden], already normed.
AttentionResult attention(const Tensor& h, AttentionKind kind, const AttentionWeights& weights,
                          const LayerContext& context);

/// V3's multi-head latent attention, and V3.2's over the tokens that its indexer chooses
/// (core/model/latent_attention.cc).
AttentionResult latent_attention(const Tensor& h, AttentionKind kind, const AttentionWeights& weights,
                                 const LayerContext& context);

/// What V3's scores are multiplied by: YaRN's mscale² / √(nope + rope).
float latent_scale(const ModelConfig& config);

/// Where a layer's tokens went; undefined without experts.
struct ExpertUse {
  Tensor offsets;  ///< [experts + 1] i32 on the device: the first row of each expert, rows sorted by expert
  Tensor squares;  ///< one element: ExpertLoad::squares; undefined where it is not asked for
};

struct MoeResult {
  Tensor out;           ///< [B·S, hidden]
  Tensor balance_loss;  ///< one element; undefined where it is not asked for or experts are given by a table
  ExpertUse use;
};

/// Mixture of experts of one layer (V4, §2.1). h [B·S, hidden], already normed.
MoeResult mixture_of_experts(const Tensor& h, MlpKind kind, const MoeWeights& weights, const LayerContext& context);

/// The sequence-wise balance loss (DeepSeek-V3, arXiv 2412.19437, eq. 17 to 20, without its α): Σ_e f_e · P_e, mean
/// over sequences; f_e: how often expert e is among the `count` largest scores, 1 when all are used evenly (a
/// constant); P_e: its mean share of the scores. scores [B·S, E] f32 in rows of `sequences`. One element.
Tensor balance_loss(const Tensor& scores, std::int64_t sequences, std::int64_t count);

struct LayerResult {
  Tensor state;  ///< [B·S, hc_mult, hidden]
  Tensor indexer_loss, balance_loss;
  ExpertUse use;
};

/// One block: mHC around attention, mHC around the experts. state [B·S, hc_mult, hidden].
LayerResult layer_forward(const Tensor& state, const LayerWeights& weights, const LayerContext& context);

}  // namespace orrery
