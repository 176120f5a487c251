// One declaration of an op's case gives four checks: parity of the preferred kernels with the references (outputs and
// gradients), the gradient against finite differences, bit equality across 1 and 2 threads, and a timing for benches.
//
//   check_op({.name = "silu", .inputs = {Tensor::randn({3, 5}, random)},
//             .run = [](const auto& in) { return std::vector<Tensor>{ops::silu(in[0])}; }});
//
// Tolerances are derived: an output that is a sum of `depth` terms, rounded `roundings` times to its dtype on the way,
// may be off by (roundings · ε(dtype) + 2·√depth · ε(f32)) of the output's largest element; twice that for gradients.
// ORRERY_TOL_SCALE=0 prints residual ÷ tolerance of every comparison instead of checking it; another value scales.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace orrery::test {

struct OpCase {
  std::string name;
  /// Floating inputs are differentiated (see `constant`); views keep their strides.
  std::vector<Tensor> inputs;
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> run;
  std::int64_t depth = 1;          ///< terms of the longest sum, forward or backward
  int roundings = 1;               ///< roundings to the dtype between input and output
  bool gradient = true;            ///< false: outputs only
  std::vector<int> constant = {};  ///< floating inputs that get no gradient
  double step = 1.0 / 64;          ///< of the finite differences; inputs are of size about 1
  double flops = 0, bytes = 0;     ///< of one forward run, for speed
};

/// All checks that apply. Finite differences need every floating input and output to be f32.
void check_op(const OpCase& op);

/// Outputs, then gradients of Σ seedᵢ·outputᵢ with respect to the differentiated inputs (random fixed seeds).
std::vector<Tensor> outputs_and_gradients(const OpCase& op);

/// Checks |found − expected| ≤ tolerance · max|expected| for every element, under ORRERY_TOL_SCALE. NaN and infinities
/// must agree.
void check_close(const std::string& what, const Tensor& found, const Tensor& expected, double tolerance);

/// Seconds of one forward run (and backward when `with_gradient`): the median of runs that fill `budget` seconds.
double seconds_of(const OpCase& op, bool with_gradient, double budget = 0.3);

/// ORRERY_KERNEL set while one lives: ForcedKernel("*=reference").
class ForcedKernel {
 public:
  explicit ForcedKernel(const char* value);
  ~ForcedKernel();
  ForcedKernel(const ForcedKernel&) = delete;
  ForcedKernel& operator=(const ForcedKernel&) = delete;

 private:
  std::string previous_;
  bool had_;
};

/// `threads` while one lives.
class Threads {
 public:
  explicit Threads(int threads);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int previous_;
};

/// A view of `shape` whose rows are `gap` elements apart and whose first element is not its storage's first.
Tensor strided_rows(const Tensor& x, std::int64_t gap);
/// The last two dimensions stored the other way round.
Tensor stored_transposed(const Tensor& x);

}  // namespace orrery::test
