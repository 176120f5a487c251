// A model's tensors by name: what checkpoints store and optimisers move.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace orrery {

/// How an optimiser treats a tensor.
enum class ParameterKind {
  matrix,     ///< weight decay; Muon where it is used
  embedding,  ///< weight decay, AdamW always
  vector,     ///< norms, biases, gates: AdamW without decay
  buffer,     ///< stored, but moved by no gradient (router bias, hash table)
};

struct Parameter {
  std::string name;
  Tensor value;
  ParameterKind kind = ParameterKind::matrix;
};

/// The tensors of a model in a fixed order. Handles are shared with the layers: writing into them changes the model.
class ParameterList {
 public:
  /// Registers `value` and, unless it is a buffer, marks it as wanting a gradient. Names are unique.
  void add(std::string name, const Tensor& value, ParameterKind kind);

  const std::vector<Parameter>& all() const { return items_; }
  /// nullptr when there is none of that name.
  const Parameter* find(const std::string& name) const;
  /// Number of values; buffers left out.
  std::int64_t trainable_count() const;
  void clear_grads() const;
  /// Moves every floating tensor to `device`; whole numbers (hash tables) stay on the CPU, where they are used.
  void move_to(Device device) const;

 private:
  std::vector<Parameter> items_;
};

}  // namespace orrery
