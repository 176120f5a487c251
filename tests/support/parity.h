// Fast kernels against the plain-loop references, and against themselves with another number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/tensor/tensor.h"
#include "tests/support/catch.h"
#include "tests/support/device_under_test.h"

namespace orrery::test {

/// Forces kernels by name (kernels/api/registry.h) while it lives.
class ForcedKernel {
 public:
  explicit ForcedKernel(const char* choice) {
    if (const char* before = std::getenv("ORRERY_KERNEL")) before_ = before;
    setenv("ORRERY_KERNEL", choice, 1);
  }
  ~ForcedKernel() { before_.empty() ? unsetenv("ORRERY_KERNEL") : setenv("ORRERY_KERNEL", before_.c_str(), 1); }
  ForcedKernel(const ForcedKernel&) = delete;
  ForcedKernel& operator=(const ForcedKernel&) = delete;

 private:
  std::string before_;
};

using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

struct Outcome {
  std::vector<Tensor> outputs, gradients;  ///< gradients of the floating inputs under fixed seeds
};

/// Runs f forward with the kernels of `choice`, then backward with those of `backward_choice` ("": the preferred ones).
/// What it gives is on the CPU, whatever the device it ran on.
inline Outcome outcome_of(const Function& f, const std::vector<Tensor>& inputs, const char* choice,
                          const char* backward_choice, Device device = Device::cpu) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(input.defined() ? input.clone().to(device) : input);
    if (input.defined() && input.dtype() != DType::i32) leaves.back().set_requires_grad(true);
  }
  Outcome outcome;
  {
    const ForcedKernel forced(choice);
    outcome.outputs = f(leaves);
  }
  const ForcedKernel forced(backward_choice);
  Random random(99);
  for (const Tensor& output : outcome.outputs)
    if (output.requires_grad())
      backward(output, Tensor::randn(output.shape(), random).to(output.dtype()).to(output.device()), /*keep=*/true);
  for (Tensor& output : outcome.outputs)
    if (output.defined() && device != Device::cpu) output = output.detach().to(Device::cpu);
  for (const Tensor& leaf : leaves)
    if (leaf.defined() && leaf.requires_grad())
      outcome.gradients.push_back(leaf.grad().defined() ? leaf.grad().to(Device::cpu) : leaf.grad());
  return outcome;
}

/// One tensor against its reference; see check_parity.
inline void check_tensor(const Tensor& found, const Tensor& expected, std::int64_t terms, int rounded = 0) {
  REQUIRE(found.defined() == expected.defined());
  if (!found.defined()) return;
  const auto want = expected.to_vector(), have = found.to_vector();
  float largest = 0;
  for (const float v : want) largest = std::max(largest, std::isfinite(v) ? std::abs(v) : 0.0f);
  const double slack = found.dtype() == DType::i32
                           ? 0
                           : std::ldexp(4.0 * static_cast<double>(terms) * double{largest}, -24) +
                                 std::ldexp(4.0 * rounded * double{largest}, -9);
  const double unit = found.dtype() == DType::bf16 ? std::ldexp(1.0, -7) : 0;
  std::size_t worst = 0;
  double excess = -1;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i] == have[i]) continue;
    const double over = std::abs(double{want[i]} - double{have[i]}) - slack - unit * std::abs(double{want[i]});
    if (!(over <= excess)) worst = i, excess = over;
  }
  if (want.empty() || excess <= 0) return;
  INFO("element " << worst << ": reference " << want[worst] << ", found " << have[worst] << ", allowed " << slack);
  CHECK(excess <= 0);
}

/// A device against the CPU's references, and bit for bit against itself run once more.
inline void check_device_parity(const Function& f, const std::vector<Tensor>& inputs, std::int64_t terms,
                                int rounded = 0) {
  const Device device = device_under_test();
  const Outcome reference = outcome_of(f, inputs, "*=reference", "*=reference");
  const Outcome found = outcome_of(f, inputs, "", "", device);
  before_rerun()();
  const Outcome again = outcome_of(f, inputs, "", "", device);
  for (std::size_t n = 0; n < found.outputs.size(); ++n) {
    INFO("output " << n);
    check_tensor(found.outputs[n], reference.outputs[n], terms, rounded);
    if (found.outputs[n].defined()) CHECK(found.outputs[n].to_vector() == again.outputs[n].to_vector());
  }
  for (std::size_t n = 0; n < found.gradients.size(); ++n) {
    INFO("gradient " << n);
    check_tensor(found.gradients[n], reference.gradients[n], terms, rounded);
    if (found.gradients[n].defined()) CHECK(found.gradients[n].to_vector() == again.gradients[n].to_vector());
  }
}

/// Checks f's outputs and gradients against the references, and bit for bit with one thread against two.
/// `terms`: length of the longest chain of f32 sums behind a value. Such a chain errs by at most terms · 2^-24 of the
/// sum of magnitudes, taken as 4 · the largest value of the tensor; bf16 storage adds one unit in its last place, 2^-7.
/// `rounded`: how often the terms of a sum are rounded to bf16 before they are added, each time by at most 2^-9 of
/// themselves. `fast`: the kernels to check; "": the preferred ones.
/// The reference's backward pass runs on what the fast forward pass saved: a saved bf16 may differ by one unit.
inline void check_parity(const Function& f, const std::vector<Tensor>& inputs, std::int64_t terms, int rounded = 0,
                         const char* fast_choice = "") {
  if (device_under_test() != Device::cpu) return check_device_parity(f, inputs, terms, rounded);
  const int threads = thread_count();
  const Outcome reference = outcome_of(f, inputs, "*=reference", "*=reference");
  const Outcome half = outcome_of(f, inputs, fast_choice, "*=reference");
  set_thread_count(2);
  const Outcome fast = outcome_of(f, inputs, fast_choice, fast_choice);
  set_thread_count(1);
  const Outcome alone = outcome_of(f, inputs, fast_choice, fast_choice);
  set_thread_count(threads);
  for (std::size_t n = 0; n < fast.outputs.size(); ++n) {
    INFO("output " << n);
    check_tensor(fast.outputs[n], reference.outputs[n], terms, rounded);
    if (fast.outputs[n].defined()) CHECK(fast.outputs[n].to_vector() == alone.outputs[n].to_vector());
  }
  for (std::size_t n = 0; n < fast.gradients.size(); ++n) {
    INFO("gradient " << n);
    check_tensor(fast.gradients[n], half.gradients[n], terms, rounded);
    if (fast.gradients[n].defined()) CHECK(fast.gradients[n].to_vector() == alone.gradients[n].to_vector());
  }
}

}  // namespace orrery::test
