// The transformer's tensors, and the table that names them (transformers' state_dict names, which checkpoints use).
#pragma once

#include <optional>
#include <vector>

#include "core/base/random.h"
#include "core/model/config.h"
#include "core/model/extra_head.h"
#include "core/nn/parameters.h"

namespace orrery {

/// Gated pooling of tokens into entries. CSA has 2·dim channels, HCA dim (core/model/attention.cc).
struct CompressorWeights {
  Tensor kv_proj;        ///< [channels, hidden]
  Tensor gate_proj;      ///< [channels, hidden]
  Tensor position_bias;  ///< [rate, channels]
  Tensor kv_norm;        ///< [dim]
};

/// The lightning indexer of a CSA layer: its own compressor at index_head_dim, queries and head weights.
struct IndexerWeights {
  CompressorWeights compressor;
  Tensor q_b_proj;      ///< [index_n_heads · index_head_dim, q_lora_rank]
  Tensor weights_proj;  ///< [index_n_heads, hidden]
};

/// V3's multi-head latent attention (arXiv 2412.19437, §2.1.1) and V3.2's indexer beside it.
struct LatentWeights {
  Tensor kv_a_proj;                    ///< [kv_lora + rope, hidden]
  Tensor kv_a_norm;                    ///< [kv_lora]
  Tensor kv_b_proj;                    ///< [heads · (nope + v), kv_lora]
  Tensor o_proj;                       ///< [hidden, heads · v]
  Tensor index_q, index_k;             ///< [index heads · index dim, q_lora], [index dim, hidden]; V3.2
  Tensor index_norm, index_norm_bias;  ///< [index dim]
  Tensor index_weights;                ///< [index heads, hidden]
};

struct AttentionWeights {
  Tensor q_a_proj, q_a_norm, q_b_proj;  ///< [q_lora, hidden], [q_lora], [heads · head_dim, q_lora]
  Tensor kv_proj, kv_norm;              ///< [head_dim, hidden], [head_dim]
  Tensor o_a_proj;                      ///< [o_groups · o_lora, heads · head_dim / o_groups]
  Tensor o_b_proj;                      ///< [hidden, o_groups · o_lora]
  Tensor sinks;                         ///< [heads]
  std::optional<CompressorWeights> compressor;
  std::optional<IndexerWeights> indexer;
  std::optional<LatentWeights> latent;  ///< then only q_a_proj, q_a_norm and q_b_proj of the above
};

struct HyperConnectionWeights {
  Tensor fn, base, scale;  ///< [(2+n)n, n·hidden], [(2+n)n], [3]; the head: [n, n·hidden], [n], [1]
};

struct MoeWeights {
  Tensor gate;                                 ///< [experts, hidden]
  Tensor bias;                                 ///< [experts], buffer; scored layers
  Tensor tid2eid;                              ///< [vocab, top_k] i32, buffer; hash layers
  Tensor gate_up_proj, down_proj;              ///< [experts, 2I, hidden], [experts, hidden, I]
  Tensor shared_gate, shared_up, shared_down;  ///< [I, hidden], [I, hidden], [hidden, I]; in dense layers these only
};

struct LayerWeights {
  AttentionKind attention_kind = AttentionKind::sliding;
  MlpKind mlp_kind = MlpKind::moe;
  Tensor input_norm, post_attention_norm;  ///< [hidden]
  HyperConnectionWeights attention_hc, mlp_hc;
  AttentionWeights attention;
  MoeWeights moe;
};

/// The multi-token-prediction block: one window-only layer that sees the state and the next token's embedding.
struct MtpWeights {
  Tensor e_proj, h_proj;  ///< [hidden, hidden]
  Tensor e_norm, h_norm;  ///< [hidden]
  LayerWeights layer;
  HyperConnectionWeights hc_head;
  Tensor norm;
};

struct TransformerWeights {
  Tensor embed;    ///< [vocab, hidden]
  Tensor places;   ///< [video.group(), hidden] with video.place_embedding, else undefined
  Tensor recall;   ///< [vocab, hidden] with video.recall_embedding, else undefined
  Tensor lm_head;  ///< [vocab, hidden]
  Tensor embed_digits, recall_digits, head_digits;  ///< [hidden, Σ levels] with video.levels, else undefined
  Tensor embed_extra, recall_extra;                 ///< [hidden, Σ extra_levels] with these, else undefined
  ExtraHeadWeights extra_head;                      ///< likewise
  std::vector<LayerWeights> layers;
  HyperConnectionWeights hc_head;
  Tensor norm;
  std::optional<MtpWeights> mtp;
  ParameterList parameters;  ///< all of the above under their names

  /// Fresh weights: normal(0, initializer_range) for matrices, ones for norms and scales, zeros for biases, a hash
  /// table spread evenly over the experts.
  static TransformerWeights create(const ModelConfig& config, Random& random);
  /// The same tensors, matrices not filled: for reading a checkpoint into them.
  static TransformerWeights unfilled(const ModelConfig& config);
  /// Names and shapes without memory for matrices (all strides 0): for counting models of any size.
  static TransformerWeights shapes(const ModelConfig& config);
};

}  // namespace orrery
