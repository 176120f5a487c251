// Least-cost one-to-one assignment.
#pragma once

#include <vector>

namespace orrery::tracking {

/// For each row the column it is assigned to, or -1. cost: [rows][columns]; pairs that cost `refuse` or more are never
/// made, and among the rest the assignment of least Σ(cost − refuse) is found (Kuhn–Munkres with potentials, O(n³)).
std::vector<int> assign(const std::vector<std::vector<double>>& cost, double refuse);

}  // namespace orrery::tracking
