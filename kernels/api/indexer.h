// The lightning indexer (DeepSeek-V3.2 and V4 reports): I[t, s] = Σ_h w[t, h] · ReLU(q[t, h]·k[s]), the choice of the
// top K entries a query, and the KL loss that trains it. Scales (d^−½, heads^−½) are the caller's, in w. Entry s is
// visible to query row t iff s < ⌊(query_start + t + 1) / rate⌋ (rate 1: tokens, as in V3.2).
#pragma once

#include "kernels/api/types.h"

namespace orrery {

/// Chosen entries in ascending order, then −1. Equal scores: the lowest entry wins. A NaN score loses to every number.
struct IndexTopKArgs {
  static constexpr const char* kOp = "index_top_k";
  TensorView q;        ///< [B, S, Hi, Di] contiguous, f32 or bf16
  TensorView k;        ///< [B, E, Di] like q
  TensorView w;        ///< [B, S, Hi] f32
  TensorView indices;  ///< [B, S, K] i32 out
  std::int64_t rate = 1;
  std::int64_t query_start = 0;
  Device device() const { return q.device; }
};

/// Scores of given entries (indices), or of all E.
struct IndexScoresArgs {
  static constexpr const char* kOp = "index_scores";
  TensorView q, k, w;
  TensorView indices;  ///< [B, S, K] i32 with −1 for none, or not given: all E entries
  TensorView scores;   ///< [B, S, K or E] f32; −inf where there is no entry or it is not visible
  std::int64_t rate = 1;
  std::int64_t query_start = 0;
  Device device() const { return q.device; }
};

struct IndexScoresBackwardArgs {
  static constexpr const char* kOp = "index_scores_backward";
  TensorView q, k, w, indices;
  TensorView grad_scores;  ///< like scores; not read where the score was −inf
  TensorView grad_q;       ///< like q, written
  TensorView grad_k;       ///< like k, written
  TensorView grad_w;       ///< [B, S, Hi] f32, written
  std::int64_t rate = 1;
  std::int64_t query_start = 0;
  Device device() const { return q.device; }
};

/// KL(target ‖ softmax(scores)) a row, target = mass / Σ mass; rows without mass or without finite scores give 0.
struct IndexKlArgs {
  static constexpr const char* kOp = "index_kl";
  TensorView scores;  ///< [rows, K] f32; −inf: no entry
  TensorView mass;    ///< [rows, K] f32, ≥ 0 (entry_mass)
  TensorView loss;    ///< [rows] f32
  Device device() const { return scores.device; }
};

/// grad_scores = grad_loss[row] · (softmax(scores) − target); 0 where there is no entry.
struct IndexKlBackwardArgs {
  static constexpr const char* kOp = "index_kl_backward";
  TensorView scores, mass;
  TensorView grad_loss;    ///< [rows] f32
  TensorView grad_scores;  ///< [rows, K] f32, written
  Device device() const { return scores.device; }
};

}  // namespace orrery
