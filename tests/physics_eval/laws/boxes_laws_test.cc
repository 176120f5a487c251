// The laws on boxes: what stands on a corner does not fly, a heap comes to rest, a short flight is no push.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr int kFrames = 48, kSize = 128, kFloor = 116;
constexpr double kPi = 3.14159265358979323846;

struct Pose {
  double x, y, angle = 0;
};

Tracks floor_alone() {
  Tracks out;
  out.width = out.height = kSize;
  out.fps = 24;
  out.background = Frame(kSize, kSize, 210);
  for (int y = kFloor; y < kSize; ++y) {
    for (int i = 0; i < 3 * kSize; ++i) out.background.row(y)[i] = 110;
  }
  return out;
}

// A body by its poses; a ball of that width where it has no height.
void add(Tracks& tracks, double width, double height, TrackColour colour, const std::function<Pose(int)>& path) {
  Track track;
  track.id = static_cast<int>(tracks.tracks.size());
  track.colour = colour;
  track.area = height > 0 ? width * height : kPi / 4 * width * width;
  track.moves = true;
  for (int t = 0; t < kFrames; ++t) {
    const Pose p = path(t);
    Observation o;
    o.visible = true;
    o.x = p.x, o.y = p.y, o.area = track.area, o.sigma = 0.02, o.colour = colour;
    o.xx = o.yy = width * width / 16;
    if (height > 0) {
      const double c = std::cos(p.angle), s = std::sin(p.angle), w = width * width / 12, h = height * height / 12;
      o.xx = c * c * w + s * s * h, o.yy = s * s * w + c * c * h, o.xy = c * s * (w - h);
      o.box_width = width, o.box_height = height, o.angle = p.angle;
    }
    track.frames.push_back(o);
  }
  tracks.tracks.push_back(track);
}

double severity(const Tracks& tracks, const std::string& name) {
  for (const LawResult& result : score_physics(tracks).laws) {
    if (result.law == name) return result.severity;
  }
  return -1;
}

constexpr TrackColour kRed{214, 40, 44}, kBlue{44, 92, 222};

// A ball that falls freely, so that gravity is known.
void add_fall(Tracks& tracks, double g) {
  add(tracks, 14, 0, kBlue, [g](int t) { return Pose{100, std::min(kFloor - 7.0, 20 + 0.5 * g * t * t)}; });
}

}  // namespace

TEST_CASE("a block that tips over on its corner does not fly", "[laws]") {
  // 22 by 22 about its lower left corner, up to 26 degrees and back: its centre rises and falls with the wrong pull.
  const auto tips = [](int t) {
    const double lean = 0.45 * std::sin(kPi * std::clamp((t - 8) / 30.0, 0.0, 1.0)), r = 11 * std::sqrt(2.0);
    return Pose{40 + r * std::cos(kPi / 4 + lean), kFloor - r * std::sin(kPi / 4 + lean), -lean};
  };
  Tracks tracks = floor_alone();
  add(tracks, 22, 22, kRed, tips);
  add_fall(tracks, 0.25);
  CHECK(severity(tracks, "gravity") < 0.5);
  // The same motion in the air is no fall.
  Tracks high = floor_alone();
  add(high, 22, 22, kRed, [&](int t) {
    const Pose p = tips(t);
    return Pose{p.x, p.y - 40, p.angle};
  });
  add_fall(high, 0.25);
  CHECK(severity(high, "gravity") > 1);
}

TEST_CASE("a heap comes to rest at once where it is slow, and does not stop in mid-fall", "[laws]") {
  const auto heap = [](double speed) {
    Tracks tracks = floor_alone();
    for (int k = 0; k < 2; ++k) {  // side by side, along the floor until frame 30
      add(tracks, 14, 14, kRed, [&, k](int t) { return Pose{30 + 14.3 * k + speed * std::min(t, 30), kFloor - 7.0}; });
    }
    return severity(tracks, "inertia");
  };
  CHECK(heap(0.4) < 0.5);
  CHECK(heap(1.6) > 1);
}

TEST_CASE("a flight of five frames at the clip's begin is no push", "[laws]") {
  Tracks tracks = floor_alone();
  const double g = 0.42;
  // Thrown against a block, which it meets at frame 5; both go on along the floor of their own.
  add(tracks, 18, 0, kBlue, [g](int t) {
    const double s = std::min(t, 5), after = std::max(0, t - 5);
    return Pose{20 + 5.5 * s + 1.5 * after, kFloor - 9 - 2.1 - 0.42 * s + 0.5 * g * s * (s - 2)};
  });
  add(tracks, 14, 14, kRed, [](int t) { return Pose{66 + 1.0 * std::max(0, t - 5), kFloor - 7.0}; });
  CHECK(severity(tracks, "inertia") < 0.5);
}
