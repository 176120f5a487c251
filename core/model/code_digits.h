// Codes of finite scalar quantisation are numbers in a mixed radix, and codes that share a digit mean similar pictures.
// A table of the vocabulary's rows may add a learned vector for each digit of a code's row (video.levels), so that what
// is learned of one code serves its neighbours.
#pragma once

#include "core/model/config.h"
#include "core/tensor/tensor.h"

namespace orrery {

/// table [vocab, hidden] with, in the codes' rows, the sum of their digits' vectors: `digits` [hidden, Σ levels], the
/// first (fastest) dimension's levels first. `digits` undefined: the table itself. Recorded on the tape.
Tensor with_digits(const Tensor& table, const Tensor& digits, const ModelConfig& config);

}  // namespace orrery
