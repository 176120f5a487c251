// Inside of Tensor; only core/tensor and core/autograd include it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/tensor/tensor.h"

namespace orrery {

namespace detail {

/// Where an input came from: an output of a node, or a leaf. Holds no data of inner tensors, so they can be freed.
struct TapeEdge {
  std::shared_ptr<TapeNode> node;
  int output_index = 0;
  std::shared_ptr<TensorImpl> leaf;
  Shape shape;
};

}  // namespace detail

/// One recorded operation.
struct TapeNode {
  const char* name = "";
  std::uint64_t sequence = 0;  ///< order of recording
  std::vector<detail::TapeEdge> inputs;
  int output_count = 1;
  std::function<std::vector<Tensor>(const std::vector<Tensor>& grad_outputs)> backward;
};

namespace detail {

struct TensorImpl {
  std::shared_ptr<std::byte> storage;
  std::int64_t offset = 0;  ///< elements from the storage's begin
  Shape shape, strides;
  DType dtype = DType::f32;
  Device device = Device::cpu;

  bool requires_grad = false;
  std::shared_ptr<TapeNode> node;  ///< the operation that made it, if recorded
  int output_index = 0;
  Tensor grad;

  static const std::shared_ptr<TensorImpl>& of(const Tensor& tensor) { return tensor.impl_; }
  static Tensor wrap(std::shared_ptr<TensorImpl> impl) {
    Tensor tensor;
    tensor.impl_ = std::move(impl);
    return tensor;
  }
};

}  // namespace detail

}  // namespace orrery
