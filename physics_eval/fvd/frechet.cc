#include "physics_eval/fvd/frechet.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

#include "core/base/error.h"
#include "core/base/random.h"

namespace orrery {

namespace {

using Size = std::size_t;
using Matrix = Eigen::MatrixXd;
using Features = std::vector<std::vector<double>>;

Matrix as_matrix(const std::vector<double>& values, int n) {
  return Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(values.data(), n, n);
}

// Eigenvalues that rounding made negative are zero.
Matrix symmetric_root(const Matrix& m) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(m);
  return solver.eigenvectors() * solver.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
         solver.eigenvectors().transpose();
}

void check_sets(const Features& a, const Features& b, Size least) {
  ORRERY_CHECK(a.size() >= least && b.size() >= least, "[fvd] sets of ", a.size(), " and ", b.size(),
               " clips, expected at least ", least, " each");
  for (const Features* set : {&a, &b}) {
    for (const auto& f : *set) {
      ORRERY_CHECK(f.size() == a[0].size(), "[fvd] a feature has ", f.size(), " values, the first has ", a[0].size());
      for (const double v : f)
        ORRERY_CHECK(std::isfinite(v), "[fvd] a feature of clip ", &f - set->data(), " is not finite");
    }
  }
}

// ‖m₁ − m₂‖² apart: Tr Σ₁ + Tr Σ₂ − 2 Tr ((Σ₁ + εI)(Σ₂ + εI))^½.
double covariance_distance(const Matrix& s1, const Matrix& s2, double offset) {
  const Matrix shift = offset * Matrix::Identity(s1.rows(), s1.cols());
  const Matrix root = symmetric_root(s1 + shift);
  const Matrix inner = root * (s2 + shift) * root;
  const Eigen::SelfAdjointEigenSolver<Matrix> solver((inner + inner.transpose()) / 2, Eigen::EigenvaluesOnly);
  return s1.trace() + s2.trace() - 2 * solver.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
}

Matrix matrix_of(const Features& set) {
  Matrix out(static_cast<Eigen::Index>(set.size()), static_cast<Eigen::Index>(set[0].size()));
  for (Size i = 0; i < set.size(); ++i) {
    for (Size k = 0; k < set[i].size(); ++k)
      out(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)) = set[i][k];
  }
  return out;
}

// Mean of the kernel over pairs; without the diagonal when `apart`.
template <class Kernel>
double mean_kernel(const Matrix& a, const Matrix& b, bool apart, const Kernel& kernel) {
  const Matrix dots = a * b.transpose() / static_cast<double>(a.cols());
  double sum = 0;
  for (Eigen::Index i = 0; i < dots.rows(); ++i) {
    for (Eigen::Index j = 0; j < dots.cols(); ++j) {
      if (!apart || i != j) sum += kernel(dots(i, j));
    }
  }
  const double n = static_cast<double>(dots.rows());
  return sum / (apart ? n * (n - 1) : n * static_cast<double>(dots.cols()));
}

}  // namespace

FeatureStatistics::FeatureStatistics(int dimension)
    : dimension_(dimension),
      sum_(static_cast<Size>(dimension), 0),
      product_(static_cast<Size>(dimension) * static_cast<Size>(dimension), 0) {
  ORRERY_CHECK(dimension >= 1, "[fvd] features of ", dimension, " values, expected at least 1");
}

void FeatureStatistics::add(std::span<const double> feature) {
  const Size n = static_cast<Size>(dimension_);
  ORRERY_CHECK(feature.size() == n, "[fvd] a feature has ", feature.size(), " values, expected ", n);
  for (const double v : feature) ORRERY_CHECK(std::isfinite(v), "[fvd] a feature of clip ", count_, " is not finite");
  if (count_ == 0) shift_.assign(feature.begin(), feature.end());
  for (Size i = 0; i < n; ++i) {
    const double d = feature[i] - shift_[i];
    sum_[i] += d;
    for (Size j = 0; j < n; ++j) product_[i * n + j] += d * (feature[j] - shift_[j]);
  }
  ++count_;
}

std::vector<double> FeatureStatistics::mean() const {
  ORRERY_CHECK(count_ > 0, "[fvd] the set is empty");
  std::vector<double> out = shift_;
  for (Size i = 0; i < out.size(); ++i) out[i] += sum_[i] / static_cast<double>(count_);
  return out;
}

std::vector<double> FeatureStatistics::covariance(bool unbiased) const {
  ORRERY_CHECK(count_ > 0, "[fvd] the set is empty");
  const Size n = static_cast<Size>(dimension_);
  std::vector<double> out(n * n, 0);
  if (count_ < 2) return out;
  const double count = static_cast<double>(count_), divisor = unbiased ? count - 1 : count;
  for (Size i = 0; i < n; ++i) {
    for (Size j = 0; j < n; ++j) out[i * n + j] = (product_[i * n + j] - sum_[i] * sum_[j] / count) / divisor;
  }
  return out;
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b, bool unbiased, double offset) {
  ORRERY_CHECK(a.dimension() == b.dimension(), "[fvd] features of ", a.dimension(), " and of ", b.dimension(),
               " values cannot be compared");
  const std::vector<double> m1 = a.mean(), m2 = b.mean();
  double square = 0;
  for (Size i = 0; i < m1.size(); ++i) square += (m1[i] - m2[i]) * (m1[i] - m2[i]);
  return square + covariance_distance(as_matrix(a.covariance(unbiased), a.dimension()),
                                      as_matrix(b.covariance(unbiased), b.dimension()), offset);
}

double kernel_distance(const Features& a, const Features& b) {
  check_sets(a, b, 2);
  const auto kernel = [](double dot) { return (dot + 1) * (dot + 1) * (dot + 1); };
  const Matrix x = matrix_of(a), y = matrix_of(b);
  return mean_kernel(x, x, true, kernel) + mean_kernel(y, y, true, kernel) - 2 * mean_kernel(x, y, false, kernel);
}

double jedi_distance(const Features& a, const Features& b) {
  check_sets(a, b, 1);
  const auto kernel = [](double dot) { return dot * dot; };
  const Matrix x = matrix_of(a), y = matrix_of(b);
  return 100 *
         (mean_kernel(x, x, false, kernel) + mean_kernel(y, y, false, kernel) - 2 * mean_kernel(x, y, false, kernel));
}

namespace {

// Both covariances live where the vectors do: in at most as many directions as there are vectors. Outside of those the
// root's trace is that of the offset alone.
double frechet_of_few(const Features& a, const Features& b, const DistanceOptions& options) {
  Matrix x = matrix_of(a), y = matrix_of(b);
  const Eigen::RowVectorXd m1 = x.colwise().mean(), m2 = y.colwise().mean();
  x.rowwise() -= m1, y.rowwise() -= m2;
  Matrix both(x.cols(), x.rows() + y.rows());
  both << x.transpose(), y.transpose();
  const Matrix basis = Eigen::HouseholderQR<Matrix>(both).householderQ() * Matrix::Identity(both.rows(), both.cols());
  const auto covariance = [&](const Matrix& centred) -> Matrix {
    const Matrix seen = centred * basis;
    const double n = static_cast<double>(centred.rows());
    return seen.transpose() * seen / (n < 2 ? 1 : options.unbiased ? n - 1 : n);
  };
  const double outside = static_cast<double>(both.rows() - both.cols());
  return (m1 - m2).squaredNorm() + covariance_distance(covariance(x), covariance(y), options.offset) -
         2 * options.offset * outside;
}

}  // namespace

double set_distance(const Features& a, const Features& b, const DistanceOptions& options) {
  if (options.distance == SetDistance::kernel) return kernel_distance(a, b);
  if (options.distance == SetDistance::jedi) return jedi_distance(a, b);
  check_sets(a, b, 1);
  if (a.size() + b.size() < a[0].size()) return frechet_of_few(a, b, options);
  FeatureStatistics first(static_cast<int>(a[0].size())), second(static_cast<int>(a[0].size()));
  for (const auto& f : a) first.add(f);
  for (const auto& f : b) second.add(f);
  return frechet_distance(first, second, options.unbiased, options.offset);
}

Interval bootstrap_interval(const Features& a, const Features& b, const DistanceOptions& options, int rounds,
                            std::uint64_t seed) {
  ORRERY_CHECK(rounds >= 2, "[fvd] ", rounds, " bootstrap rounds, expected at least 2");
  std::vector<double> values;
  for (int round = 0; round < rounds; ++round) {
    Random random(seed, static_cast<std::uint64_t>(round));
    const auto draw = [&random](const Features& from) {
      Features out;
      for (Size i = 0; i < from.size(); ++i) out.push_back(from[random.below(from.size())]);
      return out;
    };
    const Features x = draw(a), y = draw(b);
    values.push_back(set_distance(x, y, options));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&values](double share) {
    return values[static_cast<Size>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return {at(0.05), at(0.95)};
}

}  // namespace orrery
