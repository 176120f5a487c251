// Codes of finite scalar quantisation are numbers in a mixed radix, and codes that share a digit mean similar pictures.
// Digits come in two kinds:
// - A code's first digits (video.levels) name a row of the vocabulary's tables. A table may add a learned vector for
// each
//   of these digits to the row, so that what is learned of one code serves its neighbours.
// - Extra digits (video.extra_levels) make a code book too large for rows: they only add a vector each, and are drawn
// one
//   after the other behind the first ones (extra_head.h).
#pragma once

#include <vector>

#include "core/model/config.h"
#include "core/tensor/tensor.h"

namespace orrery {

/// The extra digits of an id, in [0, extra_levels[i]); empty for ids that are no codes.
std::vector<std::int64_t> extra_digits(std::int32_t id, const ModelConfig& config);

/// The table's row of each id [T] i32, on the CPU: a code's by its first digits.
Tensor table_rows(const Tensor& ids, const ModelConfig& config);

/// [T, extra digits] i32 on the CPU: the extra digits of each id that is a code, −1 for other ids.
Tensor extra_digits_of(const Tensor& ids, const ModelConfig& config);

/// [T, Σ extra_levels] f32 on `device`: ones at the extra digits of each id that is a code, zeros for other ids. Ids
/// are on the CPU, and only their digits travel.
Tensor one_hot_extra(const Tensor& ids, const ModelConfig& config, Device device);

/// [T, Σ levels] f32 on `device`: ones at the first digits of each id that is a code, zeros for other ids.
Tensor one_hot_digits(const Tensor& ids, const ModelConfig& config, Device device);

/// table [vocab, hidden] with, in the codes' rows, the sum of their digits' vectors: `digits` [hidden, Σ levels];
/// undefined: the table itself. Recorded on the tape.
Tensor with_digits(const Tensor& table, const Tensor& digits, const ModelConfig& config);

/// A table of the vocabulary with the vectors of digits.
struct DigitTable {
  Tensor rows;    ///< [vocab, hidden]
  Tensor digits;  ///< [hidden, Σ levels] or undefined
  Tensor extra;   ///< [hidden, Σ extra_levels] or undefined
};

/// [T, hidden] in `compute`: the vectors of ids [T] i32. Recorded on the tape.
Tensor embed_ids(const DigitTable& table, const Tensor& ids, const ModelConfig& config, DType compute);

}  // namespace orrery
