// Attention of DeepSeek-V4 (arXiv 2606.19348): one KV head whose rows are key and value at once, a causal sliding
// window, optional compressed entries (all of them, or a list a query), and a sink a head in the denominator only.
//   out[t, h] = Σ_s p[t, h, s] · row_s,  p = exp(scale · q[t, h]·row_s − lse[t, h]),
//   lse = log(exp(sink_h) + Σ_s exp(scale · q·row_s)), s over window(t) ∪ entries(t).
// Query row t of the buffer is position query_start + t, kv row j is position kv_start + j. Window of position p: the
// positions (p − window, p] that kv has. Entry row i is entry entry_start + i; p sees it iff entry_start + i <
// ⌊(p+1)/rate⌋.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// What the forward and the backward pass share.
struct SparseAttentionShape {
  std::int64_t window = 0;       ///< keys a query sees in kv, itself included; > 0
  std::int64_t rate = 1;         ///< tokens an entry stands for; > 0 (unused without entries)
  std::int64_t query_start = 0;  ///< position of q's row 0
  std::int64_t kv_start = 0;     ///< position of kv's row 0
  std::int64_t entry_start = 0;  ///< number of entries' row 0
  float scale = 1.0f;
};

struct SparseAttentionArgs {
  static constexpr const char* kOp = "sparse_attention";
  TensorView q;        ///< [B, S, H, D] contiguous, f32 or bf16
  TensorView kv;       ///< [B, N, D] like q
  TensorView entries;  ///< [B, E, D] like q, or not given
  TensorView indices;  ///< [B, S, K] i32: distinct rows of entries a query attends to, −1 (or an invisible one): none;
                       ///< not given: all visible
  TensorView sinks;  ///< [H] f32, or not given
  TensorView out;    ///< [B, S, H, D] like q
  TensorView lse;    ///< [B, S, H] f32; −inf where a query sees nothing (out is 0 there)
  SparseAttentionShape shape;
  Device device() const { return q.device; }
};

struct SparseAttentionBackwardArgs {
  static constexpr const char* kOp = "sparse_attention_backward";
  TensorView q, kv, entries, indices, sinks, out, lse, grad_out;  ///< as in the forward pass; grad_out like out
  TensorView grad_q;                                              ///< like q, written
  TensorView grad_kv;                                             ///< like kv, written
  TensorView grad_entries;  ///< like entries, written; not given iff entries is not
  TensorView grad_sinks;    ///< [H] f32, written; not given iff sinks is not
  SparseAttentionShape shape;
  Device device() const { return q.device; }
};

/// The indexer's target (DeepSeek-V3.2 report, eq. 3 and 4): probability mass of each entry, summed over heads.
/// mass[t, i] = Σ_h exp(scale · q[t, h]·entry_i − lse[t, h]), 0 where the entry is not visible.
struct EntryMassArgs {
  static constexpr const char* kOp = "entry_mass";
  TensorView q;        ///< [B, S, H, D] f32 or bf16
  TensorView entries;  ///< [B, E, D] like q
  TensorView indices;  ///< [B, S, K] i32, or not given: all entries
  TensorView lse;      ///< [B, S, H] f32 of the attention's forward pass
  TensorView mass;     ///< [B, S, K] f32, or [B, S, E] without indices
  SparseAttentionShape shape;
  Device device() const { return q.device; }
};

}  // namespace orrery
