// Floors seen from above and walls behind: what the picture shows as a fixed thing's edge, and bodies pass before.
#include <algorithm>
#include <cmath>

#include "physics_eval/laws/motion.h"

namespace orrery::laws {

namespace {

using Size = std::size_t;

// Comes down, goes up again, and was not turned sideways.
bool bounces_up(const Event& event) {
  return !event.jump && event.change.y < 0 && std::abs(event.change.x) < 0.6 * -event.change.y &&
         event.before.y > 0.4 && event.after.y < -0.15 * event.before.y;
}

// Frames in which the body is wholly before what looks solid, of stretches that it came into from the open and left for
// the open: nothing that is in the way lets a body in and out.
std::vector<int> in_and_out(const Path& path, const Solids& solids, int width, int height) {
  std::vector<int> out, now;
  bool open_before = false;
  for (int t = 0; t < path.frames(); ++t) {
    const Vec at = path.at[static_cast<Size>(t)];
    if (!path.clean[static_cast<Size>(t)] || at.x < path.radius || at.y < path.radius || at.x > width - path.radius ||
        at.y > height - path.radius)
      continue;
    const double within = solids.overlap(at, path.radius);
    if (within > 0.9) {
      if (open_before) now.push_back(t);
    } else if (within < 0.1) {
      if (now.size() >= 3) out.insert(out.end(), now.begin(), now.end());
      now.clear(), open_before = true;
    }
  }
  return out;
}

// Lowest place of the body's centre between the frames on either side of a bounce.
double turning_height(const Path& path, const Event& event) {
  const double from = path.at[static_cast<Size>(event.frame) - 1].y, to = path.at[static_cast<Size>(event.frame)].y;
  const double share = std::clamp((to - event.after.y - from) / (event.before.y - event.after.y), 0.0, 1.0);
  return std::max({from, to, from + share * event.before.y});
}

}  // namespace

bool Solids::see_through(std::span<const Path> paths, std::span<const Event> events) {
  if (picture_->empty()) return false;
  std::vector<Vec> places;
  for (const Path& path : paths) {
    if (!path.moves() || !path.round || path.attached || path.fluid >= 0) continue;
    for (const int t : in_and_out(path, *this, width_, height_)) places.push_back(path.at[static_cast<Size>(t)]);
  }
  for (const Event& event : events) {
    const Path& path = paths[static_cast<Size>(event.body)];
    if (!path.round || path.attached || !bounces_up(event)) continue;
    const Vec at = path.at[static_cast<Size>(event.frame)];
    if (overlap(at, path.radius) > 0.5) places.push_back(at);
  }
  if (places.empty()) return false;
  flood(places);
  // The floor, when bounces that nothing in the picture explains agree about where it is.
  std::vector<double> level;
  for (const Event& event : events) {
    const Path& path = paths[static_cast<Size>(event.body)];
    if (!path.round || path.attached || !bounces_up(event)) continue;
    if (gap(path.at[static_cast<Size>(event.frame)], path.radius, {0, 1}, 6) < 5.5) continue;
    level.push_back(turning_height(path, event) + path.radius);
  }
  if (level.empty()) return true;
  const double floor = median(level);
  for (const double l : level) {
    if (std::abs(l - floor) > 6) return true;
  }
  inferred_ = true;
  for (int y = std::max(0, static_cast<int>(std::lround(floor - 1))); y < height_; ++y) {
    for (int x = 0; x < width_; ++x) solid_[static_cast<Size>(y * width_ + x)] = 1;
  }
  return true;
}

}  // namespace orrery::laws
