#include "physics_eval/worlds/fluid/pressure.h"

#include <cmath>
#include <cstddef>

namespace orrery::fluid {

namespace {

double inner(const std::vector<double>& a, const std::vector<double>& b) {
  // Four sums side by side: a fixed order, and no chain of dependent additions.
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  std::size_t i = 0;
  for (; i + 4 <= a.size(); i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < a.size(); ++i) s0 += a[i] * b[i];
  return (s0 + s1) + (s2 + s3);
}

double largest(const std::vector<double>& a) {
  double m = 0;
  for (const double value : a) m = std::max(m, std::abs(value));
  return m;
}

}  // namespace

void PressureSystem::reset(int rows) {
  const auto n = static_cast<std::size_t>(rows);
  diagonal.assign(n, 0);
  left_value.assign(n, 0);
  below_value.assign(n, 0);
  left.assign(n, -1);
  below.assign(n, -1);
}

void PressureSystem::precondition() {
  const std::size_t n = diagonal.size();
  constexpr double kModified = 0.97, kFloor = 0.25;
  inverse_.assign(n, 0);
  left_factor_.assign(n, 0);
  below_factor_.assign(n, 0);
  // What each row couples to on its right and above, for the modified part.
  std::vector<double> right_of(n, 0), above_of(n, 0);
  for (std::size_t r = 0; r < n; ++r) {
    if (left[r] >= 0) right_of[static_cast<std::size_t>(left[r])] = left_value[r];
    if (below[r] >= 0) above_of[static_cast<std::size_t>(below[r])] = below_value[r];
  }
  for (std::size_t r = 0; r < n; ++r) {
    double e = diagonal[r];
    if (left[r] >= 0) {
      const auto l = static_cast<std::size_t>(left[r]);
      const double d = inverse_[l] * inverse_[l];
      e -= left_value[r] * left_value[r] * d + kModified * left_value[r] * above_of[l] * d;
    }
    if (below[r] >= 0) {
      const auto b = static_cast<std::size_t>(below[r]);
      const double d = inverse_[b] * inverse_[b];
      e -= below_value[r] * below_value[r] * d + kModified * below_value[r] * right_of[b] * d;
    }
    if (e < kFloor * diagonal[r]) e = diagonal[r];
    inverse_[r] = 1 / std::sqrt(e);
    if (left[r] >= 0) left_factor_[r] = left_value[r] * inverse_[static_cast<std::size_t>(left[r])] * inverse_[r];
    if (below[r] >= 0) below_factor_[r] = below_value[r] * inverse_[static_cast<std::size_t>(below[r])] * inverse_[r];
  }
}

void PressureSystem::apply_preconditioner(const std::vector<double>& r, std::vector<double>& z) {
  const std::size_t n = diagonal.size();
  // scratch = inverse_ · (L⁻¹ r) in units that make both sweeps free of divisions.
  for (std::size_t i = 0; i < n; ++i) {
    double t = r[i] * inverse_[i];
    if (left[i] >= 0) t -= left_factor_[i] * scratch_[static_cast<std::size_t>(left[i])];
    if (below[i] >= 0) t -= below_factor_[i] * scratch_[static_cast<std::size_t>(below[i])];
    scratch_[i] = t;
  }
  for (std::size_t i = n; i-- > 0;) {
    const double t = scratch_[i];
    z[i] = t * inverse_[i];
    if (left[i] >= 0) scratch_[static_cast<std::size_t>(left[i])] -= left_factor_[i] * t;
    if (below[i] >= 0) scratch_[static_cast<std::size_t>(below[i])] -= below_factor_[i] * t;
  }
}

void PressureSystem::multiply(const std::vector<double>& x, std::vector<double>& y,
                              const std::vector<BodyTerm>& bodies) const {
  const std::size_t n = diagonal.size();
  for (std::size_t i = 0; i < n; ++i) {
    double sum = diagonal[i] * x[i];
    if (left[i] >= 0) {
      const auto l = static_cast<std::size_t>(left[i]);
      sum += left_value[i] * x[l];
      y[l] += left_value[i] * x[i];
    }
    if (below[i] >= 0) {
      const auto b = static_cast<std::size_t>(below[i]);
      sum += below_value[i] * x[b];
      y[b] += below_value[i] * x[i];
    }
    y[i] = sum;  // rows to the right and above add to it later
  }
  for (const BodyTerm& body : bodies)
    for (std::size_t k = 0; k < 3; ++k) {
      const double weight = body.scales[k] * inner(body.rows[k], x);
      for (std::size_t i = 0; i < n; ++i) y[i] += weight * body.rows[k][i];
    }
}

int PressureSystem::solve(const std::vector<double>& b, std::vector<double>& x, const std::vector<BodyTerm>& bodies,
                          double tolerance, int limit) {
  const std::size_t n = diagonal.size();
  residual_.resize(n);
  direction_.resize(n);
  image_.resize(n);
  scratch_.resize(n);
  multiply(x, image_, bodies);
  for (std::size_t i = 0; i < n; ++i) residual_[i] = b[i] - image_[i];
  if (largest(residual_) <= tolerance) return 0;
  std::vector<double> z(n);
  apply_preconditioner(residual_, z);
  direction_ = z;
  double sigma = inner(residual_, z);
  for (int round = 1; round <= limit; ++round) {
    multiply(direction_, image_, bodies);
    const double curvature = inner(direction_, image_);
    if (!(curvature > 0)) return round;  // a closed pocket without a free surface: the constant is free
    const double step = sigma / curvature;
    for (std::size_t i = 0; i < n; ++i) x[i] += step * direction_[i];
    for (std::size_t i = 0; i < n; ++i) residual_[i] -= step * image_[i];
    if (largest(residual_) <= tolerance) return round;
    apply_preconditioner(residual_, z);
    const double next = inner(residual_, z);
    const double beta = next / sigma;
    for (std::size_t i = 0; i < n; ++i) direction_[i] = z[i] + beta * direction_[i];
    sigma = next;
  }
  return limit;
}

}  // namespace orrery::fluid
