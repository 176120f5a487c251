#include "physics_eval/track/native_size.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "physics_eval/track/background.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr int kSamples = 8, kSmallest = 32;

// Squared steps of brightness across each border between columns (and between rows), summed over frames. A border that
// stands out (the edge of the floor) counts no more than a few common ones.
struct Steps {
  std::vector<double> columns, rows;
};

void cap(std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  const double most = 4 * sum / std::max(1.0, static_cast<double>(values.size()));
  for (double& v : values) v = std::min(v, most);
}

Steps steps_of(std::span<const Frame> frames) {
  const int width = frames[0].width(), height = frames[0].height();
  Steps out{std::vector<double>(static_cast<Size>(width) - 1, 0),
            std::vector<double>(static_cast<Size>(height) - 1, 0)};
  const auto luma = [](const std::uint8_t* p) { return (54 * p[0] + 183 * p[1] + 19 * p[2]) / 256; };
  for (const int t : spread_indices(static_cast<int>(frames.size()), kSamples)) {
    const Frame& frame = frames[static_cast<Size>(t)];
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const int here = luma(frame.at(x, y));
        if (x + 1 < width) {
          const int step = std::abs(luma(frame.at(x + 1, y)) - here);
          if (step > 8) out.columns[static_cast<Size>(x)] += step * step;
        }
        if (y + 1 < height) {
          const int step = std::abs(luma(frame.at(x, y + 1)) - here);
          if (step > 8) out.rows[static_cast<Size>(y)] += step * step;
        }
      }
    }
  }
  cap(out.columns), cap(out.rows);
  return out;
}

struct Share {
  double of_steps = 0, of_borders = 0;
  /// How many borders the steps are spread over.
  double spread = 0;
  /// How unlikely it is that so many of them lie there by chance, as a logarithm.
  double evidence() const {
    const double p = std::clamp(of_steps, 1e-6, 1 - 1e-6), q = std::clamp(of_borders, 1e-6, 1 - 1e-6);
    return p > q ? spread * (p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q))) : 0;
  }
};

// Two small bodies in a few pictures have their edges on the borders of some block size by chance.
constexpr double kLeastEvidence = 12;

// Share of the steps that lie on the borders of `blocks` blocks, and of all borders that those are. Where blocks are no
// whole number of pixels the pixel that holds a border is mixed: both of its sides count.
Share on_borders(const std::vector<double>& steps, double blocks) {
  const double block = static_cast<double>(steps.size() + 1) / blocks;
  double on = 0, all = 0, squares = 0;
  int borders = 0;
  for (Size i = 0; i < steps.size(); ++i) {
    const double place = static_cast<double>(i + 1), nearest = block * std::round(place / block);
    all += steps[i], squares += steps[i] * steps[i];
    if (std::abs(place - nearest) > 0.99) continue;
    const bool whole = std::abs(nearest - std::round(nearest)) < 1e-6;
    if (whole && std::abs(place - nearest) > 0.01) continue;
    on += steps[i], ++borders;
  }
  if (all <= 0) return {};
  return {on / all, static_cast<double>(borders) / static_cast<double>(steps.size()), all * all / squares};
}

}  // namespace

int native_size(std::span<const Frame> frames) {
  const int width = frames[0].width(), height = frames[0].height(), shorter = std::min(width, height);
  if (shorter < 3 * kSmallest / 2) return shorter;
  const Steps steps = steps_of(frames);
  for (int size = kSmallest; 3 * size <= 2 * shorter; ++size) {
    const double scale = static_cast<double>(size) / shorter;
    const Share across = on_borders(steps.columns, width * scale), down = on_borders(steps.rows, height * scale);
    const auto blocky = [](const Share& share) {
      return share.of_steps > 0.8 && share.of_borders < 0.7 && 1 - share.of_steps < 0.45 * (1 - share.of_borders);
    };
    if (blocky(across) && blocky(down) && across.evidence() + down.evidence() > kLeastEvidence) return size;
  }
  return shorter;
}

}  // namespace orrery::tracking
