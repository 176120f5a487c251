#include "physics_eval/worlds/observable.h"

#include <algorithm>
#include <cmath>

namespace orrery::worlds {
namespace {

using Size = std::size_t;

constexpr int kShortest = 4;  // frames of free motion that show an acceleration

bool touched(const FrameTruth& frame, int body) {
  return std::any_of(frame.contacts.begin(), frame.contacts.end(),
                     [body](const ContactState& c) { return c.a == body || c.b == body; });
}

// About that frame the body meets something that turns or stops it in the lawful clip.
bool meets(const TwinTruth& truth, Size body, int frame) {
  const Vec2 before = truth.lawful[static_cast<Size>(frame) - 1].bodies[body].velocity;
  for (int t = frame; t <= std::min(frame + 1, static_cast<int>(truth.lawful.size()) - 1); ++t) {
    const FrameTruth& here = truth.lawful[static_cast<Size>(t)];
    if (touched(here, here.bodies[body].id) && length(here.bodies[body].velocity - before) > 0.5 * length(before))
      return true;
  }
  return false;
}

// A velocity changes at once where nothing is met.
bool kicks(const TwinTruth& truth, double least) {
  const FrameTruth &lawful = truth.lawful[static_cast<Size>(truth.frame)],
                   &twin = truth.twin[static_cast<Size>(truth.frame)];
  for (Size i = 0; i < std::min(lawful.bodies.size(), twin.bodies.size()); ++i) {
    if (length(lawful.bodies[i].velocity - twin.bodies[i].velocity) > 0.5 * least * truth.fps &&
        lawful.bodies[i].visible > 0.02 && !meets(truth, i, truth.frame))
      return true;
  }
  return false;
}

Vec2 place(std::span<const FrameTruth> frames, Size body, int t) {
  return frames[static_cast<Size>(t)].bodies[body].position;
}

// The last frame of the third of a second after the break.
int soon(const TwinTruth& truth) {
  return std::min(truth.frame + static_cast<int>(truth.fps / 3), static_cast<int>(truth.twin.size()) - 1);
}

// Before it could come to rest or be turned by others, a body is somewhere else than it would have been. `held`: and
// stays where it is.
bool departs_soon(const TwinTruth& truth, double least, bool held) {
  const int last = soon(truth);
  const Size bodies =
      std::min(truth.lawful[static_cast<Size>(last)].bodies.size(), truth.twin[static_cast<Size>(last)].bodies.size());
  for (Size i = 0; i < bodies; ++i) {
    const double apart = length(place(truth.lawful, i, last) - place(truth.twin, i, last)),
                 moved = length(place(truth.twin, i, last) - place(truth.twin, i, truth.frame));
    if (apart > least && (!held || (moved < 0.1 * least && !meets(truth, i, truth.frame)))) return true;
  }
  return false;
}

bool flows(const TwinTruth& truth) {
  return std::any_of(truth.bodies.begin(), truth.bodies.end(),
                     [](const BodyInfo& body) { return body.shape == Shape::fluid; });
}

// Nothing bears the body from frame t − 1 to t: no contact, and the acceleration of a fall.
bool moves_freely(const TwinTruth& truth, std::span<const FrameTruth> frames, Size body, int t, double pull) {
  const FrameTruth &here = frames[static_cast<Size>(t)], &before = frames[static_cast<Size>(t) - 1];
  if (here.bodies[body].visible <= 0.02 || touched(here, here.bodies[body].id)) return false;
  const Vec2 acceleration = (here.bodies[body].velocity - before.bodies[body].velocity) * truth.fps;
  return length(acceleration - truth.gravity * pull) < 0.3 * length(truth.gravity) * pull;
}

// A body moves freely for some frames of [from, to) and `seen(body, first, last)` holds in such a stretch.
template <class Seen>
bool free_motion(const TwinTruth& truth, std::span<const FrameTruth> frames, int from, int to, double pull,
                 const Seen& seen) {
  for (Size body = 0; body < frames[0].bodies.size(); ++body) {
    int first = from;
    for (int t = from; t < to; ++t) {
      const bool there = frames[static_cast<Size>(t)].bodies.size() > body && t > 0;
      if (!there || !moves_freely(truth, frames, body, t, pull)) {
        first = t + 1;
      } else if (t - first + 1 >= kShortest && seen(body, first, t)) {
        return true;
      }
    }
  }
  return false;
}

// In water: a body falls freely before and after.
bool falls_in_sight(const TwinTruth& truth, double least) {
  const auto departs = [&](Size body, int, int t) {
    return length(place(truth.twin, body, t) - place(truth.lawful, body, t)) > least;
  };
  const auto bends = [&](Size body, int first, int t) {
    const int middle = (first + t) / 2, span = std::min(middle - first, t - middle);
    const Vec2 bend = place(truth.lawful, body, middle - span) - place(truth.lawful, body, middle) * 2 +
                      place(truth.lawful, body, middle + span);
    return length(bend) > least;
  };
  const int frames = static_cast<int>(truth.twin.size());
  return free_motion(truth, truth.twin, truth.frame, frames, 2, departs) &&
         free_motion(truth, truth.lawful, 1, truth.frame, 1, bends);
}

}  // namespace

bool shows_itself(const TwinTruth& truth, double pixels) {
  if (truth.frame >= static_cast<int>(truth.twin.size())) return false;
  const double least = pixels * truth.metres_per_pixel;
  if (truth.kind == "sudden-stop") return kicks(truth, least) || departs_soon(truth, least, true);
  if (flows(truth)) return truth.kind != "gravity-doubled" || falls_in_sight(truth, least);
  if (truth.kind == "reversed-time") return kicks(truth, least);
  if (truth.kind == "frozen") return departs_soon(truth, least, false);
  return true;
}

}  // namespace orrery::worlds
