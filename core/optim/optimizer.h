// AdamW (Loshchilov & Hutter 2019) and Muon (Jordan et al. 2024, with DeepSeek-V4's settings) over a parameter list.
#pragma once

#include <string>
#include <vector>

#include "core/io/parameters_file.h"
#include "core/nn/parameters.h"

namespace orrery {

class Fields;

struct OptimizerConfig {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.05;  ///< matrices and embeddings only
  /// Muon for matrices; the rest keeps AdamW.
  bool muon = false;
  double muon_momentum = 0.95;
};

/// Reads the [optimizer] table, if there is one.
OptimizerConfig read_optimizer_config(const Fields& fields);

/// Holds the moments of every trainable parameter and moves the parameters by their grad(). Results do not depend on
/// the number of threads.
class Optimizer {
 public:
  Optimizer(const ParameterList& parameters, OptimizerConfig config);

  /// One update with learning rate config.lr · factor. Gradients are scaled to a global norm of at most clip_norm (0:
  /// no limit). Parameters without a gradient stay. Returns the norm before clipping.
  double step(double factor, double clip_norm);

  /// Moments under "moment1.NAME", "moment2.NAME" and "optimizer.step".
  void append_state(std::vector<NamedTensor>& tensors) const;
  void load_state(const TensorFile& state);

 private:
  const ParameterList& parameters_;
  OptimizerConfig config_;
  std::vector<Tensor> first_, second_;  ///< in the list's order; undefined for buffers
  Tensor steps_;                        ///< [1] i32
};

/// averages = decay · averages + (1 − decay) · parameters; buffers of integers are copied. The router's balancing bias
/// is averaged too: the last one belongs to the last router, not to the averaged one.
void update_averages(const ParameterList& parameters, const std::vector<Tensor>& averages, float decay);

/// sqrt(Σ grad²) over the list, summed in a fixed order.
double gradient_norm(const ParameterList& parameters);

/// Muon's orthogonalisation of a [rows, columns] matrix by ten Newton–Schulz steps (V4 report: 8 × (3.4445, −4.7750,
/// 2.0315), then 2 × (2, −1.5, 0.5)).
Tensor orthogonalize(const Tensor& matrix);

}  // namespace orrery
