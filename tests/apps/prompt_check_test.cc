// The engine's own clips keep what their captions say; clips of something else do not.
#include "apps/pipeline/prompt_check.h"

#include "physics_eval/worlds/sample.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

struct TrackedClip {
  Promise promise;
  Tracks tracks;
};

TrackedClip clip_of(const std::string& scene, std::uint64_t index, int frames) {
  worlds::SampleOptions sample;
  sample.scenes = {scene};
  sample.smooth_backgrounds = true;
  worlds::World world(worlds::sample_spec(7, index, sample));
  std::vector<Frame> shown;
  for (int f = 0; f < frames; ++f) {
    if (f > 0) world.step();
    shown.push_back(world.draw());
  }
  return {promise_of(world, world.caption()), track(shown, 24)};
}

}  // namespace

TEST_CASE("the engine's clips keep what their captions promise", "[prompt_check]") {
  const std::string scene = GENERATE("bounce", "throw", "roll", "collide", "pendulum");
  int colour = 0, count = 0, motion = 0, late = 0;
  constexpr int kClips = 8;
  for (std::uint64_t i = 0; i < kClips; ++i) {
    const TrackedClip clip = clip_of(scene, i, 230);
    const PromiseKept kept = check_promise(clip.promise, clip.tracks);
    colour += kept.colour, count += kept.count_frames > 0.95, motion += kept.motion, late += kept.moves_late;
    CAPTURE(scene, clip.promise.caption, kept.count_frames);
    CHECK(clip.promise.motion_known);
  }
  CAPTURE(scene);
  // The tracker is not perfect: one clip in eight may be misread.
  CHECK(colour >= kClips - 1);
  CHECK(count >= kClips - 1);
  CHECK(motion >= kClips - 1);
  CHECK(late >= 1);
}

TEST_CASE("a clip of something else breaks the promise", "[prompt_check]") {
  const TrackedClip roll = clip_of("roll", 1, 72), bounce = clip_of("bounce", 1, 72);
  CHECK_FALSE(check_promise({"bounce", "", roll.promise.colours, true, 0, true}, roll.tracks).motion);
  CHECK_FALSE(check_promise({"roll", "", bounce.promise.colours, true, 0, true}, bounce.tracks).motion);
  Promise other = roll.promise;
  other.colours = {"brown"};
  CHECK_FALSE(check_promise(other, roll.tracks).colour);
  other.colours = {"red", "red"};
  CHECK(check_promise(other, roll.tracks).count_frames < 0.5);
  Promise left = roll.promise, right = roll.promise;
  left.direction = -1, right.direction = 1;
  CHECK(check_promise(left, roll.tracks).motion != check_promise(right, roll.tracks).motion);
  CHECK_FALSE(check_promise(roll.promise, roll.tracks).moves_late);
}

TEST_CASE("what is sighted counts bodies, their size and their speed", "[prompt_check]") {
  Tracks tracks;
  tracks.height = 50, tracks.fps = 10;
  Track body;
  for (int f = 0; f < 4; ++f) {
    Observation seen;
    seen.visible = f != 1;
    seen.x = 2.0 * f, seen.area = 3.14159265 * 25;
    body.frames.push_back(seen);
  }
  tracks.tracks = {body};
  const Sighted all = sighted(tracks, 0, 4);
  CHECK(all.bodies == Approx(0.75));
  CHECK(all.radius == Approx(10));
  CHECK(all.speed == Approx(40));  // 2 pixels of 50 a frame, ten times a second
  CHECK(std::isnan(sighted(tracks, 0, 1).speed));
  CHECK(std::isnan(sighted(tracks, 1, 2).radius));
}
