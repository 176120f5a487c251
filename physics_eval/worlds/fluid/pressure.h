// The linear system of both projections: a five-point matrix over the cells that hold water, plus one term of rank
// three for each floating body. Conjugate gradients, preconditioned with MIC(0) of the five-point part (Bridson, "Fluid
// simulation for computer graphics", 2nd edition, figure 5.8).
#pragma once

#include <array>
#include <vector>

namespace orrery::fluid {

/// What one body adds: scale_k · row_k row_kᵀ for k = x, y, turning.
struct BodyTerm {
  std::array<std::vector<double>, 3> rows;
  std::array<double, 3> scales{};
};

class PressureSystem {
 public:
  /// Rows are numbered so that left and lower neighbours come first.
  void reset(int rows);
  int rows() const { return static_cast<int>(diagonal.size()); }

  /// Call after the matrix is filled.
  void precondition();

  /// Solves for `x`, which holds the first guess, until the residual falls to `tolerance` (largest entry) or after
  /// `limit` rounds. Returns the rounds.
  int solve(const std::vector<double>& b, std::vector<double>& x, const std::vector<BodyTerm>& bodies, double tolerance,
            int limit);

  std::vector<double> diagonal;
  /// Coupling to the left and lower neighbour (≤ 0), and their rows or -1.
  std::vector<double> left_value, below_value;
  std::vector<int> left, below;

 private:
  void multiply(const std::vector<double>& x, std::vector<double>& y, const std::vector<BodyTerm>& bodies) const;
  void apply_preconditioner(const std::vector<double>& r, std::vector<double>& z);

  std::vector<double> inverse_, scratch_, residual_, direction_, image_;
  // The strict lower triangle times the preconditioner's diagonal, ready for the two sweeps.
  std::vector<double> left_factor_, below_factor_;
};

}  // namespace orrery::fluid
