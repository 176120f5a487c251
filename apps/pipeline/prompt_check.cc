#include "apps/pipeline/prompt_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "apps/pipeline/sentence.h"

namespace orrery::pipeline {

namespace {

// Shares of the picture's height: what counts as moving, as a bounce's rise, as level.
constexpr double kMoves = 0.06, kRises = 0.03, kLevel = 0.05;

struct Sight {
  int frame;
  double x, y;  // shares of the height, y up
};

std::vector<Sight> sights_of(const Track& track, double height) {
  std::vector<Sight> sights;
  for (std::size_t f = 0; f < track.frames.size(); ++f) {
    const Observation& seen = track.frames[f];
    if (seen.visible) sights.push_back({static_cast<int>(f), seen.x / height, -seen.y / height});
  }
  return sights;
}

// Changes of direction of a coordinate, each after a way of at least `least`: +1 from down to up, -1 from up to down.
std::vector<int> turns(const std::vector<Sight>& sights, double Sight::*coordinate, double least) {
  std::vector<int> found;
  if (sights.empty()) return found;
  double low = sights[0].*coordinate, high = low;
  int going = 0;
  for (const Sight& sight : sights) {
    const double at = sight.*coordinate;
    low = std::min(low, at), high = std::max(high, at);
    const bool rises = going <= 0 && at >= low + least, falls = going >= 0 && at <= high - least;
    if (!rises && !falls) continue;
    if (going != 0) found.push_back(rises ? 1 : -1);
    going = rises ? 1 : -1;
    low = high = at;
  }
  return found;
}

std::vector<std::vector<Sight>> all_sights(const Tracks& tracks) {
  std::vector<std::vector<Sight>> bodies;
  for (const Track& track : tracks.tracks) bodies.push_back(sights_of(track, tracks.height));
  return bodies;
}

double extent(const std::vector<Sight>& sights, double Sight::*coordinate) {
  double low = 1e9, high = -1e9;
  for (const Sight& sight : sights) low = std::min(low, sight.*coordinate), high = std::max(high, sight.*coordinate);
  return sights.empty() ? 0 : high - low;
}

// The first way of at least kMoves along x: -1, 0 or 1.
int first_direction(const std::vector<Sight>& sights) {
  for (const Sight& sight : sights)
    if (std::abs(sight.x - sights[0].x) >= kMoves) return sight.x > sights[0].x ? 1 : -1;
  return 0;
}

bool bounces(const std::vector<Sight>& sights) {
  const auto found = turns(sights, &Sight::y, kRises);
  return std::find(found.begin(), found.end(), 1) != found.end();
}

// Two bodies come as near as their radii say (a fifth more allows for frames between).
bool meet(const Track& a, const Track& b) {
  const double reach = 1.2 * (a.radius() + b.radius());
  for (std::size_t f = 0; f < a.frames.size() && f < b.frames.size(); ++f) {
    if (!a.frames[f].visible || !b.frames[f].visible) continue;
    if (a.frames[f].merged || b.frames[f].merged) return true;
    if (std::hypot(a.frames[f].x - b.frames[f].x, a.frames[f].y - b.frames[f].y) <= reach) return true;
  }
  return false;
}

bool collide(const Tracks& tracks) {
  for (std::size_t a = 0; a < tracks.tracks.size(); ++a)
    for (std::size_t b = a + 1; b < tracks.tracks.size(); ++b)
      if (meet(tracks.tracks[a], tracks.tracks[b])) return true;
  return false;
}

bool kind_shown(const std::string& scene, const Tracks& tracks, const std::vector<std::vector<Sight>>& bodies) {
  const auto any = [&](const auto& test) { return std::any_of(bodies.begin(), bodies.end(), test); };
  const auto all = [&](const auto& test) { return !bodies.empty() && std::all_of(bodies.begin(), bodies.end(), test); };
  using Body = std::vector<Sight>;
  if (scene == "bounce") return all(bounces);
  if (scene == "throw")
    return any([](const Body& body) { return extent(body, &Sight::y) >= kMoves && extent(body, &Sight::x) >= kRises; });
  if (scene == "roll")
    return any([](const Body& body) { return extent(body, &Sight::x) >= kMoves && extent(body, &Sight::y) <= kLevel; });
  if (scene == "collide") return collide(tracks);
  if (scene == "pendulum") return any([](const Body& body) { return turns(body, &Sight::x, kRises).size() >= 2; });
  return false;
}

}  // namespace

Promise promise_of(const worlds::World& world, const std::string& caption) {
  constexpr std::array<const char*, 5> kKnown = {"bounce", "throw", "roll", "collide", "pendulum"};
  Promise promise;
  promise.scene = world.spec().scene;
  promise.caption = caption;
  for (const auto& body : world.scene().bodies()) promise.colours.emplace_back(body.colour);
  std::sort(promise.colours.begin(), promise.colours.end());
  const Said said = read_sentence(caption);
  promise.colours_said = said.colours == promise.colours;
  promise.direction = said.direction;
  promise.motion_known =
      std::any_of(kKnown.begin(), kKnown.end(), [&](const char* name) { return promise.scene == name; });
  return promise;
}

Sighted sighted(const Tracks& tracks, std::size_t begin, std::size_t end) {
  double seen = 0, radius = 0, steps = 0, way = 0;
  for (const Track& body : tracks.tracks)
    for (std::size_t f = begin; f < std::min(end, body.frames.size()); ++f) {
      const Observation& now = body.frames[f];
      if (!now.visible) continue;
      seen += 1, radius += std::sqrt(now.area / std::numbers::pi);
      if (f == begin || !body.frames[f - 1].visible) continue;
      steps += 1, way += std::hypot(now.x - body.frames[f - 1].x, now.y - body.frames[f - 1].y);
    }
  const double height = tracks.height / 100.0, frames = static_cast<double>(end - begin);
  return {seen / frames, radius / seen / height, way / steps * tracks.fps / height};
}

bool motion_shown(const std::string& scene, int direction, const Tracks& tracks) {
  const std::vector<std::vector<Sight>> bodies = all_sights(tracks);
  const auto that_way = [&](const std::vector<Sight>& body) { return first_direction(body) == direction; };
  return kind_shown(scene, tracks, bodies) && (direction == 0 || std::any_of(bodies.begin(), bodies.end(), that_way));
}

bool something_moves(const Tracks& tracks, int begin, int end) {
  for (std::vector<Sight>& body : all_sights(tracks)) {
    std::erase_if(body, [&](const Sight& sight) { return sight.frame < begin || sight.frame >= end; });
    constexpr double kStill = 0.008;
    if (std::max(extent(body, &Sight::x), extent(body, &Sight::y)) > kStill) return true;
  }
  return false;
}

PromiseKept check_promise(const Promise& promise, const Tracks& tracks) {
  PromiseKept kept;
  if (!tracks.reason.empty() || tracks.tracks.empty()) return kept;
  std::vector<std::string> colours;
  for (const Track& track : tracks.tracks) colours.push_back(track.colour_word);
  std::sort(colours.begin(), colours.end());
  kept.colour = colours == promise.colours;
  const std::size_t frames = tracks.tracks[0].frames.size();
  std::size_t right = 0;
  for (std::size_t f = 0; f < frames; ++f) {
    std::size_t seen = 0;
    for (const Track& track : tracks.tracks) seen += track.frames[f].visible ? 1 : 0;
    right += seen == promise.colours.size() ? 1 : 0;
  }
  kept.count_frames = static_cast<double>(right) / static_cast<double>(frames);
  kept.count = right == frames;
  kept.motion = motion_shown(promise.scene, promise.direction, tracks);
  kept.moves_late = something_moves(tracks, static_cast<int>(std::lround(8 * tracks.fps)),
                                    static_cast<int>(std::lround(9 * tracks.fps)));
  return kept;
}

}  // namespace orrery::pipeline
