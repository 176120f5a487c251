// The compressors of DeepSeek-V4 (arXiv 2606.19348, §2.3): gated softmax pooling of `rate` tokens to one entry, a
// softmax a channel.
//   HCA: entry_i = Σ_j softmax_j(gate[i·m + j] + bias[j]) ⊙ kv[i·m + j], j < m.
//   CSA (overlap): 2c channels a token; window i gives its last c channels to entry i and its first c to entry i + 1,
//   one softmax over the 2m slots. Window 0's earlier half comes from `prior` where given, else it has no slots.
// Tokens after the last whole window are not read.
#pragma once

#include "kernels/api/types.h"

namespace orrery {

struct CompressPoolArgs {
  static constexpr const char* kOp = "compress_pool";
  TensorView kv;          ///< [B, S, C] contiguous, f32 or bf16; C = c, with overlap 2c
  TensorView gate;        ///< [B, S, C] like kv
  TensorView bias;        ///< [m, C] f32
  TensorView prior_kv;    ///< [B, m, C] like kv: the tokens of the window before (overlap only), or not given
  TensorView prior_gate;  ///< [B, m, C]
  TensorView out;         ///< [B, ⌊S/m⌋, c] like kv
  std::int64_t rate = 1;  ///< m
  bool overlap = false;
  Device device() const { return kv.device; }
};

/// Without prior (training sees whole sequences).
struct CompressPoolBackwardArgs {
  static constexpr const char* kOp = "compress_pool_backward";
  TensorView kv, gate, bias, out, grad_out;
  TensorView grad_kv;    ///< like kv, written (0 for unread tokens)
  TensorView grad_gate;  ///< like gate, written
  TensorView grad_bias;  ///< [m, C] f32, written
  std::int64_t rate = 1;
  bool overlap = false;
  Device device() const { return kv.device; }
};

}  // namespace orrery
