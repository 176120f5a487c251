// Reverse-mode differentiation on a tape. An op records a TapeNode; backward() walks the nodes from the loss in
// reverse order of recording, which is a topological order and the same on every run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace orrery {

/// True while operations are recorded on this thread.
bool grad_enabled();

/// Nothing is recorded while one lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};

/// True when recording is on and one of the tensors needs a gradient: ops test it to skip saving.
bool needs_tape(std::initializer_list<const Tensor*> inputs);
bool needs_tape(const std::vector<Tensor>& inputs);

/// Makes `outputs` the results of a node over `inputs`. Does nothing when needs_tape(inputs) is false.
/// `backward` must not capture the outputs' handles (a cycle): capture output.detach() when a value is needed.
void record(const char* name, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
            std::function<std::vector<Tensor>(const std::vector<Tensor>&)> backward);

/// Adds d(loss)/d(leaf) to grad() of every leaf with requires_grad. `loss` has one element unless `seed` (its
/// gradient, same shape) is given. The tape is freed on the way unless `keep`.
void backward(const Tensor& loss, const Tensor& seed = {}, bool keep = false);

/// Gradients of `loss` with respect to `inputs`, without touching any grad(). Undefined where it does not depend.
std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& inputs, const Tensor& seed = {});

/// Runs `forward` without keeping its inside, and runs it again in backward (Chen et al. 2016, "sublinear memory").
/// `forward` must be a pure function of `inputs` and of parameters that it captures; parameters get gradients too.
std::vector<Tensor> checkpoint(std::function<std::vector<Tensor>(const std::vector<Tensor>&)> forward,
                               std::vector<Tensor> inputs);

}  // namespace orrery
