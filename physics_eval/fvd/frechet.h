// Distances between two sets of feature vectors: Fréchet (FVD's), kernel (KVD's and JEDi's), with bootstrap intervals.
// All in 64-bit; sums run in a fixed order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace orrery {

/// Mean and covariance of feature vectors, fed one by one (nothing but sums is kept).
class FeatureStatistics {
 public:
  explicit FeatureStatistics(int dimension);
  /// Throws InputError for another length, or a value that is not finite.
  void add(std::span<const double> feature);

  int dimension() const { return dimension_; }
  std::int64_t count() const { return count_; }
  std::vector<double> mean() const;
  /// [dimension, dimension] over count − 1 (`unbiased`) or count; zero for a single vector.
  std::vector<double> covariance(bool unbiased) const;

 private:
  int dimension_;
  std::int64_t count_ = 0;
  /// Sums about the first vector, which keeps their digits.
  std::vector<double> shift_, sum_, product_;
};

/// ‖μ₁ − μ₂‖² + Tr Σ₁ + Tr Σ₂ − 2 Tr (Σ₁Σ₂)^½. The trace is that of (Σ₁^½ Σ₂ Σ₁^½)^½, which symmetric eigenvalues give
/// even where the covariances are singular. `offset` is added to both diagonals under the root, not to the other traces
/// (FVMD's published code: 1e-5). Throws InputError for empty sets or different dimensions.
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b, bool unbiased = true,
                        double offset = 0);

/// Unbiased squared MMD with the kernel (x·y / d + 1)³ (KVD). Needs two vectors a set. Features: [n][d].
double kernel_distance(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b);
/// JEDi's form: biased squared MMD with (x·y / d)², times 100.
double jedi_distance(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b);

struct Interval {
  double low = 0, high = 0;
};

enum class SetDistance { frechet, kernel, jedi };

struct DistanceOptions {
  SetDistance distance = SetDistance::frechet;
  /// As frechet_distance() has them; of no effect on the others.
  bool unbiased = true;
  double offset = 0;
};

/// A distance of the two sets by name. The same as frechet_distance() of their statistics, but the work grows with the
/// number of vectors where there are fewer of them than values.
double set_distance(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b,
                    const DistanceOptions& options = {});

/// 5% and 95% quantiles of the distance over `rounds` resamplings of both sets with replacement.
Interval bootstrap_interval(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b,
                            const DistanceOptions& options, int rounds, std::uint64_t seed);

}  // namespace orrery
