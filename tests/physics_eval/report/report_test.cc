// The HTML page is one file that says what was found; the overlay draws where things are.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/base/parallel.h"
#include "physics_eval/report/html.h"
#include "physics_eval/report/overlay.h"
#include "physics_eval/report/score_json.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

ScoredClip broken_clip() {
  ScoredClip clip;
  clip.file = "a <b>.mp4";
  clip.score.score = 0.1, clip.score.low = 0, clip.score.high = 0.2, clip.score.violated = true;
  clip.score.frames = {1, 1, 0.1, 1}, clip.score.worst_frame = 2;
  LawResult law;
  law.law = "permanence", law.applies = true, law.violated = true, law.severity = 2, law.score = 0.1, law.frame = 2;
  law.bodies = {0}, law.evidence = "body 0 vanishes", law.measured = {{"radius", 3.5, 0.1, "px"}};
  clip.score.laws = {law};
  return clip;
}

}  // namespace

TEST_CASE("the report stands alone and escapes names", "[report]") {
  ScoredClip unscored;
  unscored.file = "still.mp4", unscored.score.score = std::numeric_limits<double>::quiet_NaN();
  unscored.score.reason = "nothing moves";
  const std::string html =
      physics_html({{unscored, 24, {}, 0}, {broken_clip(), 24, Frame(320, 200, 90), 2}}, {{"bad.mp4", "is empty"}});
  for (const char* part : {"a &lt;b&gt;.mp4", "Breaks physics (permanence)", "body 0 vanishes",
                           "data:image/bmp;base64,", "<polyline", "nothing moves", "bad.mp4: is empty", "radius 3.5"}) {
    INFO(part);
    CHECK(html.find(part) != std::string::npos);
  }
  CHECK(html.find("<b>") == std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("http") == std::string::npos);
  // Worst first.
  CHECK(html.find("a &lt;b") < html.find("still.mp4"));
}

TEST_CASE("the overlay marks bodies and breaks", "[report]") {
  Tracks tracks;
  tracks.width = tracks.height = 50;
  Track track;
  track.moves = true;
  for (int t = 0; t < 4; ++t) {
    Observation o;
    o.visible = true, o.x = 20 + 2 * t, o.y = 25, o.area = 80, o.xx = o.yy = 80 / 12.566;
    track.frames.push_back(o);
  }
  tracks.tracks.push_back(track);
  const PhysicsScore score = broken_clip().score;
  Frame lawful(100, 100, 90), broken(100, 100, 90);
  draw_overlay(lawful, 0, tracks, score);
  draw_overlay(broken, 2, tracks, score);
  CHECK(lawful != Frame(100, 100, 90));
  CHECK(broken.at(0, 50)[0] == 255);  // the rim
  CHECK(broken.at(0, 50)[1] == 40);
  CHECK(lawful.at(0, 50)[0] == 90);
  // The outline of the disc (twice as large in a frame of twice the size) passes right of its centre, at 48 + 10.7.
  CHECK(broken.at(58, 50)[0] > broken.at(58, 50)[1] + 60);
  CHECK(broken.at(64, 50)[0] == broken.at(64, 50)[1]);
}

TEST_CASE("the JSON of a score is the same bytes at any thread count", "[report]") {
  // A ball that falls, bounces and is gone for good, in a picture large enough to be averaged down first.
  std::vector<Frame> frames;
  double y = 60, v = 0;
  for (int t = 0; t < 40; ++t) {
    Frame frame(200, 200, 210);
    for (int row = 180; row < 200; ++row) std::fill_n(frame.row(row), 600, std::uint8_t{110});
    for (int j = 0; j < 200 && t < 30; ++j) {
      for (int i = 0; i < 200; ++i) {
        const double inside = 12.5 - std::hypot(i + 0.5 - (40 + 2.3 * t), j + 0.5 - y);
        if (inside <= 0) continue;
        const double share = std::min(1.0, inside);
        for (int c = 0; c < 3; ++c)
          frame.at(i, j)[c] = static_cast<std::uint8_t>(210 + ((c == 0 ? 214 : 40) - 210) * share);
      }
    }
    frames.push_back(std::move(frame));
    v += 0.5, y += v;
    if (y > 168) y = 168, v = -0.85 * v;
  }
  const auto scored = [&](int threads) {
    set_thread_count(threads);
    return physics_json({{"clip.mp4", score_physics(track(frames, 24)), {}}}, {}).dump();
  };
  const int before = thread_count();
  const std::string one = scored(1), two = scored(2), five = scored(5);
  set_thread_count(before);
  CHECK(one.find("vanishes") != std::string::npos);
  CHECK(one == two);
  CHECK(one == five);
}
