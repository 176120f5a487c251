// Ops by index, recorded on the tape.
#pragma once

#include "core/tensor/tensor.h"

namespace orrery::ops {

/// Rows of `table` [V, d] f32 or bf16 by `ids` (i32, any shape S; each in [0, V), or negative: zeros). Returns [S...,
/// d] of dtype `out`. The table's gradient is summed in the order of the ids.
Tensor embedding(const Tensor& table, const Tensor& ids, DType out = DType::f32);

/// Slices of dimension `dim` by `ids` [n] i32: dimension `dim` of the result has n. Indices may repeat.
Tensor index_select(const Tensor& x, int dim, const Tensor& ids);

/// y[…, j, …] = x[…, index[…, j, …], …] along `dim`; index i32 with x's shape but for `dim`.
Tensor gather(const Tensor& x, int dim, const Tensor& index);

/// base plus each x element at index[…] along `dim`, in order; x and index have one shape, base's but for `dim`.
Tensor scatter_add(const Tensor& base, int dim, const Tensor& index, const Tensor& x);

/// [rows, count] f32: a one at each index [rows] i32 (any stride); a row of zeros where it is outside [0, count). Not
/// recorded.
Tensor one_hot(const Tensor& indices, std::int64_t count);

struct TopK {
  Tensor values;   ///< [..., k]
  Tensor indices;  ///< [..., k] i32
};
/// The k largest along the last dimension, falling; equal values by rising index; NaN ranks with the worst. With
/// `ascending` the k smallest, rising. Values carry gradients.
TopK top_k(const Tensor& x, std::int64_t k, bool ascending = false);
/// The whole last dimension in order.
TopK sort(const Tensor& x, bool ascending = true);

}  // namespace orrery::ops
