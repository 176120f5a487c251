// DeepSeek-V4's attention, rotary embedding, compressors and indexer as differentiable operations.
#pragma once

#include <utility>

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Positions and sizes of sparse_attention: see kernels/api/attention.h.
struct SparseAttentionOptions {
  std::int64_t window = 0;       ///< keys a query sees in kv, itself included; ≥ 1
  std::int64_t rate = 1;         ///< tokens an entry stands for; ≥ 1
  std::int64_t query_start = 0;  ///< position of q's row 0
  std::int64_t kv_start = 0;     ///< position of kv's row 0
  std::int64_t entry_start = 0;  ///< number of entries' row 0
  float scale = 1.0f;            ///< usually D^−½
};

struct AttentionResult {
  Tensor out;  ///< [B, S, H, D] like q
  Tensor lse;  ///< [B, S, H] f32, without a tape
};

/// Attention over a causal window of kv and over compressed entries, with a sink a head (DeepSeek-V4, arXiv
/// 2606.19348). q [B, S, H, D]; kv [B, N, D]; entries [B, E, D] or undefined; indices [B, S, K] i32 (−1: none) or
/// undefined: all visible entries; sinks [H] f32 or undefined. q, kv and entries are all f32 or all bf16. Gradients
/// reach q, kv, entries and sinks.
AttentionResult sparse_attention(const Tensor& q, const Tensor& kv, const Tensor& entries, const Tensor& indices,
                                 const Tensor& sinks, const SparseAttentionOptions& options);

/// Attention mass of each entry summed over heads, [B, S, K] f32 (or [B, S, E] without indices): the indexer's target.
/// Never recorded: the target is a constant of the indexer's loss.
Tensor entry_mass(const Tensor& q, const Tensor& entries, const Tensor& indices, const Tensor& lse,
                  const SparseAttentionOptions& options);

/// Turns the interleaved pairs of the last 2·P dims of x [B, S, H, D] by the angles of cos and sin [S, P] f32; by
/// −angle when `inverse`. Gradient reaches x.
Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin, bool inverse = false);

struct CompressOptions {
  std::int64_t rate = 1;  ///< tokens an entry
  bool overlap = false;   ///< CSA: 2c channels a token, an entry spans two windows
};

/// Gated softmax pooling to entries [B, ⌊S/rate⌋, c]. kv and gate [B, S, C] (C = c, or 2c with overlap), bias [rate, C]
/// f32. prior_kv and prior_gate [B, rate, C], both or neither: the window before the first (overlap, generation only:
/// with them nothing is recorded).
Tensor compress_pool(const Tensor& kv, const Tensor& gate, const Tensor& bias, const CompressOptions& options,
                     const Tensor& prior_kv = {}, const Tensor& prior_gate = {});

struct IndexOptions {
  std::int64_t rate = 1;         ///< tokens an entry; 1: tokens themselves (V3.2)
  std::int64_t query_start = 0;  ///< position of q's row 0
};

/// The `count` best entries of every query, ascending, then −1: [B, S, count] i32. q [B, S, Hi, Di], k [B, E, Di], w
/// [B, S, Hi] f32. Score Σ_h w·ReLU(q·k); equal scores: the lowest entry. Never recorded.
Tensor index_top_k(const Tensor& q, const Tensor& k, const Tensor& w, std::int64_t count, const IndexOptions& options);

/// Scores of the entries in indices [B, S, K], or of all E where indices is undefined; −inf where there is none or it
/// is not visible. [B, S, K or E] f32. Gradients reach q, k and w.
Tensor index_scores(const Tensor& q, const Tensor& k, const Tensor& w, const Tensor& indices,
                    const IndexOptions& options);

/// KL(mass / Σ mass ‖ softmax(scores)) over the last dimension: [..., K] → [...]. The gradient reaches scores only.
Tensor index_kl(const Tensor& scores, const Tensor& mass);

}  // namespace orrery::ops
