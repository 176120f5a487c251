// A loop nest over several strided operands of one shape: neighbouring dimensions that run on in every operand are merged,
// so that contiguous work becomes one long inner loop.
#pragma once

#include <cstdint>

#include "kernels/api/types.h"

namespace orrery {

template <int operands>
struct LoopNest {
  int rank = 0;  ///< of the outer loops
  std::int64_t shape[kMaxRank] = {};
  std::int64_t strides[operands][kMaxRank] = {};
  std::int64_t inner = 1;                ///< elements of the inner loop
  std::int64_t inner_stride[operands] = {};

  /// All views have `views[0]`'s shape; a dimension of size 1 there may have any stride.
  explicit LoopNest(const TensorView* const (&views)[operands]) {
    std::int64_t all_shape[kMaxRank];
    std::int64_t all_strides[operands][kMaxRank];
    int count = 0;
    for (int d = 0; d < views[0]->rank; ++d) {
      if (views[0]->shape[d] == 1) continue;
      bool joins = count > 0;
      for (int k = 0; joins && k < operands; ++k)
        joins = all_strides[k][count - 1] == stride(*views[k], d) * views[0]->shape[d];
      if (joins) {
        all_shape[count - 1] *= views[0]->shape[d];
      } else {
        all_shape[count++] = views[0]->shape[d];
      }
      for (int k = 0; k < operands; ++k) all_strides[k][count - 1] = stride(*views[k], d);
    }
    if (count == 0) {
      for (int k = 0; k < operands; ++k) inner_stride[k] = 1;
      return;
    }
    rank = count - 1;
    inner = all_shape[rank];
    for (int k = 0; k < operands; ++k) inner_stride[k] = all_strides[k][rank];
    for (int d = 0; d < rank; ++d) {
      shape[d] = all_shape[d];
      for (int k = 0; k < operands; ++k) strides[k][d] = all_strides[k][d];
    }
  }

  std::int64_t outer() const {
    std::int64_t count = 1;
    for (int d = 0; d < rank; ++d) count *= shape[d];
    return count;
  }

  /// Calls body(offsets) for the outer iterations [begin, end); offsets[k] counts elements of operand k.
  template <class Body>
  void run(std::int64_t begin, std::int64_t end, const Body& body) const {
    std::int64_t index[kMaxRank] = {}, offsets[operands] = {};
    std::int64_t rest = begin;
    for (int d = rank - 1; d >= 0; --d) {
      index[d] = rest % shape[d];
      rest /= shape[d];
      for (int k = 0; k < operands; ++k) offsets[k] += index[d] * strides[k][d];
    }
    for (std::int64_t at = begin; at < end; ++at) {
      body(offsets);
      for (int d = rank - 1; d >= 0; --d) {
        for (int k = 0; k < operands; ++k) offsets[k] += strides[k][d];
        if (++index[d] < shape[d]) break;
        for (int k = 0; k < operands; ++k) offsets[k] -= strides[k][d] * shape[d];
        index[d] = 0;
      }
    }
  }

 private:
  static std::int64_t stride(const TensorView& view, int d) { return view.shape[d] == 1 ? 0 : view.strides[d]; }
};

}  // namespace orrery
