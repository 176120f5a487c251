#include "physics_eval/track/shadow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "physics_eval/track/colour.h"

namespace orrery::tracking {

namespace {

using Size = std::size_t;

constexpr int kLeastFrames = 10;

// x and y of the shadow: rows of a · (1, x, y) of the body.
struct Throw {
  Size body = 0;
  std::array<double, 3> x{}, y{};
  double width = 0;  // half of the shadow's
  TrackColour colour;
};

bool whole(const Observation& o) { return o.visible && !o.cut && !o.merged; }

// Of the background's hue and darker wherever it is.
bool dark(const Track& track, const Frame& background) {
  int seen = 0, darker = 0;
  for (const Observation& o : track.frames) {
    if (!o.visible) continue;
    const int x = std::clamp(static_cast<int>(o.x), 0, background.width() - 1),
              y = std::clamp(static_cast<int>(o.y), 0, background.height() - 1);
    const std::uint8_t* base = background.at(x, y);
    const double ground = base[0] + base[1] + base[2], mine = o.colour.r + o.colour.g + o.colour.b;
    ++seen;
    darker += mine > 0.15 * ground && mine < 0.92 * ground &&
              chroma_distance2(chroma(o.colour), chroma(base[0], base[1], base[2])) < 0.12 * 0.12;
  }
  return seen >= 3 && 10 * darker >= 9 * seen;
}

// Solves the symmetric 3×3 system by elimination; false where the body's places do not span a plane.
bool solve(std::array<std::array<double, 4>, 3> a, std::array<double, 3>& out) {
  for (Size c = 0; c < 3; ++c) {
    Size pivot = c;
    for (Size r = c + 1; r < 3; ++r) {
      if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
    }
    if (std::abs(a[pivot][c]) < 1e-6) return false;
    std::swap(a[pivot], a[c]);
    for (Size r = 0; r < 3; ++r) {
      if (r == c) continue;
      const double factor = a[r][c] / a[c][c];
      for (Size k = c; k < 4; ++k) a[r][k] -= factor * a[c][k];
    }
  }
  for (Size r = 0; r < 3; ++r) out[r] = a[r][3] / a[r][r];
  return true;
}

double carry(const std::array<double, 3>& row, const Observation& o) { return row[0] + row[1] * o.x + row[2] * o.y; }

// The least-squares map from the body's places to the shadow's, when that is what a light would do.
bool thrown_by(const Track& shadow, const Track& body, Throw& out) {
  std::array<std::array<double, 4>, 3> ax{}, ay{};
  int both = 0, alone = 0, above = 0;
  double low_x = 1e9, high_x = -1e9, low_y = 1e9, high_y = -1e9, width = 0;
  for (Size t = 0; t < shadow.frames.size(); ++t) {
    const Observation &s = shadow.frames[t], &b = body.frames[t];
    if (!whole(s)) continue;
    if (!b.visible || b.cut) {
      ++alone;
      continue;
    }
    ++both;
    above += b.y < s.y;
    const std::array<double, 3> row{1, b.x, b.y};
    for (Size r = 0; r < 3; ++r) {
      for (Size c = 0; c < 3; ++c) ax[r][c] += row[r] * row[c], ay[r][c] += row[r] * row[c];
      ax[r][3] += row[r] * s.x, ay[r][3] += row[r] * s.y;
    }
    low_x = std::min(low_x, s.x), high_x = std::max(high_x, s.x);
    low_y = std::min(low_y, s.y), high_y = std::max(high_y, s.y);
    width = std::max(width, 2 * std::sqrt(std::max(s.xx, s.yy)));
  }
  if (both < kLeastFrames || 4 * alone > both || 20 * above < 19 * both || shadow.area > 2 * body.area) return false;
  const double travel = std::hypot(high_x - low_x, high_y - low_y);
  if (travel < 2 || !solve(ax, out.x) || !solve(ay, out.y)) return false;
  if (out.x[1] < 0.5 || out.x[1] > 1.6 || std::abs(out.y[1]) > 0.5) return false;
  double square = 0;
  for (Size t = 0; t < shadow.frames.size(); ++t) {
    const Observation &s = shadow.frames[t], &b = body.frames[t];
    if (!whole(s) || !b.visible || b.cut) continue;
    const double dx = carry(out.x, b) - s.x, dy = carry(out.y, b) - s.y;
    square += dx * dx + dy * dy;
  }
  out.width = width, out.colour = shadow.colour;
  return std::sqrt(square / both) < std::max(0.5, 0.04 * travel);
}

// Lies in that shadow in most frames.
bool piece_of(const Track& track, const Throw& thrown, const Track& body) {
  if (colour_distance(track.colour, thrown.colour) > 0.3) return false;
  int seen = 0, within = 0;
  for (Size t = 0; t < track.frames.size(); ++t) {
    const Observation &o = track.frames[t], &b = body.frames[t];
    if (!o.visible) continue;
    ++seen;
    within += b.visible && std::hypot(carry(thrown.x, b) - o.x, carry(thrown.y, b) - o.y) < thrown.width + 2;
  }
  return 10 * within >= 7 * seen;
}

}  // namespace

void drop_shadows(std::vector<Track>& tracks, const Frame& background, std::vector<std::vector<LineRun>>& lines) {
  std::vector<char> shaded;
  for (const Track& track : tracks) shaded.push_back(dark(track, background));
  std::vector<Throw> throws;
  std::vector<char> drop(tracks.size(), 0);
  for (Size s = 0; s < tracks.size(); ++s) {
    for (Size b = 0; b < tracks.size() && shaded[s] && !drop[s]; ++b) {
      Throw thrown;
      thrown.body = b;
      if (b == s || drop[b] || !thrown_by(tracks[s], tracks[b], thrown)) continue;
      drop[s] = 1;
      throws.push_back(thrown);
    }
  }
  for (const Throw& thrown : throws) {
    const Track& body = tracks[thrown.body];
    for (Size s = 0; s < tracks.size(); ++s) {
      if (s != thrown.body && shaded[s] && !drop[s]) drop[s] = piece_of(tracks[s], thrown, body);
    }
    for (Size t = 0; t < lines.size() && t < body.frames.size(); ++t) {
      const Observation& b = body.frames[t];
      if (!b.visible) continue;
      const double x = carry(thrown.x, b), y = carry(thrown.y, b);
      std::erase_if(lines[t], [&](const LineRun& run) {
        return std::hypot(0.5 * (run.x0 + run.x1) - x, run.y + 0.5 - y) < thrown.width + 2;
      });
    }
  }
  Size k = 0;
  std::erase_if(tracks, [&](const Track&) { return drop[k++] != 0; });
}

}  // namespace orrery::tracking
