#include "physics_eval/track/assign.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace orrery::tracking {

std::vector<int> assign(const std::vector<std::vector<double>>& cost, double refuse) {
  using Size = std::size_t;
  const Size rows = cost.size(), columns = rows ? cost[0].size() : 0, n = std::max(rows, columns);
  std::vector<int> out(rows, -1);
  if (columns == 0) return out;
  const auto at = [&](Size i, Size j) { return i < rows && j < columns ? std::min(cost[i][j], refuse) : refuse; };
  // Indices from 1; row_of[0] is the row being placed.
  std::vector<double> u(n + 1, 0), v(n + 1, 0);
  std::vector<Size> row_of(n + 1, 0), way(n + 1, 0);
  for (Size i = 1; i <= n; ++i) {
    row_of[0] = i;
    Size j0 = 0;
    std::vector<double> least(n + 1, std::numeric_limits<double>::infinity());
    std::vector<char> used(n + 1, 0);
    do {
      used[j0] = 1;
      const Size i0 = row_of[j0];
      double delta = std::numeric_limits<double>::infinity();
      Size j1 = 0;
      for (Size j = 1; j <= n; ++j) {
        if (used[j]) continue;
        const double reduced = at(i0 - 1, j - 1) - u[i0] - v[j];
        if (reduced < least[j]) least[j] = reduced, way[j] = j0;
        if (least[j] < delta) delta = least[j], j1 = j;
      }
      for (Size j = 0; j <= n; ++j) {
        if (used[j]) {
          u[row_of[j]] += delta, v[j] -= delta;
        } else {
          least[j] -= delta;
        }
      }
      j0 = j1;
    } while (row_of[j0] != 0);
    for (; j0 != 0; j0 = way[j0]) row_of[j0] = row_of[way[j0]];
  }
  for (Size j = 1; j <= columns; ++j) {
    const Size i = row_of[j];
    if (i <= rows && cost[i - 1][j - 1] < refuse) out[i - 1] = static_cast<int>(j) - 1;
  }
  return out;
}

}  // namespace orrery::tracking
