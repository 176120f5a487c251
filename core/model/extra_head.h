// The head of a code's extra digits (video.extra_levels). A code's first digits are drawn together by the softmax over
// the vocabulary's rows; the extra ones follow one after the other, each given those before it: p(code | h) = p(first
// digits | h) · ∏ p(eᵢ | h, first digits, e₁ … eᵢ₋₁). One masked layer serves all extra digits (MADE, Germain et al.
// 2015, arXiv 1502.03509): a block of extra_width units a digit, which sees the hidden state and the digits before it,
// and of which that digit's logits are made.
#pragma once

#include "core/model/config.h"
#include "core/ops/loss.h"
#include "core/tensor/tensor.h"

namespace orrery {

/// units = extra digits · extra_width.
struct ExtraHeadWeights {
  Tensor hidden;       ///< [units, hidden]
  Tensor hidden_bias;  ///< [units]
  Tensor first;        ///< [units, Σ levels]; undefined without levels
  Tensor earlier;      ///< [units, Σ extra_levels]; a block's entries at its own and later digits count as zero
  Tensor out;          ///< [Σ extra_levels, units]; a level's entries outside its digit's block count as zero
  Tensor out_bias;     ///< [Σ extra_levels]
};

/// [T, Σ extra_levels] f32: the logits of each extra digit given the digits before it of the codes `ids` [T] i32 that
/// are predicted (rows of other ids mean nothing). hidden [T, hidden]. Recorded on the tape.
Tensor extra_logits(const Tensor& hidden, const Tensor& ids, const ExtraHeadWeights& weights,
                    const ModelConfig& config);

/// Cross entropy of the extra digits of those targets [T] i32 that are codes: Σ weight · loss over them / Σ weight over
/// all targets that count (not negative), so that it adds to the vocabulary's. weights [T] f32.
ops::HeadLoss extra_loss(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                         const ExtraHeadWeights& head, const ModelConfig& config);

}  // namespace orrery
