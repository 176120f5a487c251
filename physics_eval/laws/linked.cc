// Bodies on rods that hang on one another: their kinetic energy changes with their height alone, by one and the same
// pull throughout: ΔK = −g ΔΣ m h. Masses from areas (one density); g is fitted.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/context.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Kinetic energy and weighted height of a group, at the frames where all are seen with two neighbours on either side.
struct Energies {
  std::vector<int> frame;
  std::vector<double> kinetic, height;
  double noise = 0;  // of the kinetic energy
};

Energies energies_of(const Context& context, const std::vector<Size>& group) {
  Energies out;
  double fastest = 0, coordinate = 0, mass_sum = 0;
  for (int t = 2; t + 2 < context.frames; ++t) {
    double kinetic = 0, height = 0;
    bool all = true;
    for (const Size b : group) {
      const Path& path = context.paths[b];
      const Size i = static_cast<Size>(t);
      for (Size k = i - 2; k <= i + 2; ++k) all = all && path.clean[k];
      const Vec v = (path.at[i - 2] - path.at[i - 1] * 8 + path.at[i + 1] * 8 - path.at[i + 2]) * (1.0 / 12);
      const double mass = path.track->area;
      kinetic += 0.5 * mass * dot(v, v), height -= mass * path.at[i].y;
    }
    if (!all) continue;
    out.frame.push_back(t), out.kinetic.push_back(kinetic), out.height.push_back(height);
    fastest = std::max(fastest, kinetic);
  }
  for (const Size b : group) {
    coordinate = std::max(coordinate, context.paths[b].noise), mass_sum += context.paths[b].track->area;
  }
  // dK = m v dv with v from K, dv from the derivative's weights (0.95 of the coordinate's noise) and its bias.
  out.noise = std::sqrt(2 * fastest * mass_sum) * 0.95 * coordinate;
  return out;
}

// Slope of K over −H for changes over `step` frames, robustly: the weighted median of the ratios.
double fitted_pull(const Energies& e, Size step) {
  std::vector<std::pair<double, double>> ratios;
  double total = 0;
  for (Size i = 0; i + step < e.frame.size(); ++i) {
    if (e.frame[i + step] - e.frame[i] != static_cast<int>(step)) continue;
    const double dh = e.height[i + step] - e.height[i], dk = e.kinetic[i + step] - e.kinetic[i];
    if (std::abs(dh) < 1e-9) continue;
    ratios.emplace_back(-dk / dh, std::abs(dh)), total += std::abs(dh);
  }
  std::sort(ratios.begin(), ratios.end());
  double sum = 0;
  for (const auto& [ratio, weight] : ratios) {
    sum += weight;
    if (sum >= 0.5 * total) return ratio;
  }
  return 0;
}

}  // namespace

bool linked(const Path& a, const Path& b) {
  if (!a.moves() || !b.moves() || a.count < 12 || b.count < 12) return false;
  std::vector<double> distance, angles;
  for (int t = 0; t < a.frames(); ++t) {
    const Size i = static_cast<Size>(t);
    if (!a.clean[i] || !b.clean[i]) continue;
    // What rests keeps any distance.
    if (t > 0 && length(a.at[i] - a.at[i - 1]) < 0.1 && length(b.at[i] - b.at[i - 1]) < 0.1) continue;
    const Vec d = b.at[i] - a.at[i];
    double angle = std::atan2(d.y, d.x);
    if (!angles.empty()) angle += 6.283185307179586 * std::round((angles.back() - angle) / 6.283185307179586);
    angles.push_back(angle), distance.push_back(length(d));
  }
  if (distance.size() < 12) return false;
  std::vector<double> sorted = distance;
  std::sort(sorted.begin(), sorted.end());
  const double spread = sorted[sorted.size() * 9 / 10] - sorted[sorted.size() / 10], usual = sorted[sorted.size() / 2],
               limit = std::max(0.7, 10 * std::max(a.noise, b.noise));
  // They turn while they keep that distance: what comes to lie beside another has not turned about it.
  double low = 1e9, high = -1e9;
  for (Size i = 0; i < angles.size(); ++i) {
    if (std::abs(distance[i] - usual) < limit) low = std::min(low, angles[i]), high = std::max(high, angles[i]);
  }
  return spread < limit && high - low > 0.4 &&
         usual > 0.9 * (a.radius + b.radius);  // what touches is piled, not linked
}

void test_linked(const Context& context, Verdict& out) {
  std::vector<Size> group;
  for (Size a = 0; a < context.paths.size() && group.empty(); ++a) {
    for (Size b = a + 1; b < context.paths.size() && group.empty(); ++b) {
      if (linked(context.paths[a], context.paths[b])) group = {a, b};
    }
  }
  if (group.empty()) return;
  // What a wall or the floor pushes keeps its energy before and after, not across.
  const auto pushed = [&](int first, int last) {
    return std::any_of(context.events.begin(), context.events.end(), [&](const Event& event) {
      const bool member =
          std::any_of(group.begin(), group.end(), [&](Size b) { return event.body == static_cast<int>(b); });
      return member && !event.jump && event.on_solid && event.frame >= first - 2 && event.frame <= last + 3;
    });
  };
  const Energies e = energies_of(context, group);
  if (e.frame.size() < 14) return;
  const double pull = fitted_pull(e, 4);
  std::vector<double> total;
  for (Size i = 0; i < e.frame.size(); ++i) total.push_back(e.kinetic[i] + pull * e.height[i]);
  const auto [low, high] = std::minmax_element(e.kinetic.begin(), e.kinetic.end());
  const double range = *high - *low;
  if (range < 6 * e.noise) return;
  out.applies = true;
  const double border = 0.1 * range + 4 * e.noise;
  double worst = 0;
  int first = -1;
  constexpr Size kStep = 7;
  for (Size i = 1; i + kStep + 1 < total.size(); ++i) {
    if (e.frame[i + kStep] - e.frame[i] != static_cast<int>(kStep) || pushed(e.frame[i], e.frame[i + kStep])) continue;
    const double before = median({total[i - 1], total[i], total[i + 1]}),
                 after = median({total[i + kStep - 1], total[i + kStep], total[i + kStep + 1]});
    const double severity = std::abs(after - before) / border;
    if (severity > 0.8 && first < 0) first = e.frame[i] + static_cast<int>(kStep) / 2;
    worst = std::max(worst, severity);
  }
  std::vector<int> ids;
  for (const Size b : group) ids.push_back(context.paths[b].track->id);
  if (first < 0) first = e.frame.front();
  out.add(
      first, first + 4, worst, ids,
      say("bodies %d and %d on rods: their energy changes by %.0f%%", ids[0], ids[1], 100 * worst * border / range));
}

}  // namespace orrery::laws
