// The tracker on drawn balls: places, sizes, colours, identity; on every background, resting, crossing, touching.
#include "physics_eval/track/track.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "physics_eval/track/assign.h"
#include "physics_eval/track/colour.h"
#include "physics_eval/track/native_size.h"
#include "tests/support/catch.h"
#include "tests/support/draw_scene.h"
#include "video/frames/resize.h"

using namespace orrery;
using namespace orrery::test;

namespace {

struct Ball {
  Paint colour;
  double radius;
  std::function<std::pair<double, double>(double)> place;  // of the frame index
};

std::vector<Frame> film(const std::vector<Ball>& balls, int frames, int size, Ground ground, double floor = 1) {
  const Frame still = draw_ground(size, size, ground, floor);
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    out.push_back(still);
    for (const Ball& ball : balls) {
      const auto [x, y] = ball.place(t);
      draw_ball(out.back(), x, y, ball.radius, ball.colour);
    }
  }
  return out;
}

const Track* of_colour(const Tracks& tracks, const std::string& word) {
  const Track* found = nullptr;
  for (const Track& track : tracks.tracks) {
    if (track.colour_word != word) continue;
    if (found) return nullptr;
    found = &track;
  }
  return found;
}

// Largest distance of the track from the ball's true path over frames where it is visible and alone.
double worst_error(const Track& track, const Ball& ball) {
  double worst = 0;
  for (std::size_t t = 0; t < track.frames.size(); ++t) {
    const Observation& o = track.frames[t];
    if (!o.visible || o.cut || o.merged) continue;
    const auto [x, y] = ball.place(static_cast<double>(t));
    worst = std::max(worst, std::hypot(o.x - x, o.y - y));
  }
  return worst;
}

int seen(const Track& track) {
  int count = 0;
  for (const Observation& o : track.frames) count += o.visible;
  return count;
}

}  // namespace

TEST_CASE("a ball is found to a tenth of a pixel on every background", "[track]") {
  const Ball ball{kRed, 6.3, [](double t) { return std::pair{10.3 + 0.83 * t, 14.2 + 0.021 * t * t}; }};
  for (const Ground ground : {Ground::plain, Ground::gradient, Ground::checker}) {
    for (const double floor : {1.0, 0.8}) {
      const auto frames = film({ball}, 48, 64, ground, floor);
      const Tracks tracks = track(frames, 24);
      REQUIRE(tracks.reason.empty());
      REQUIRE(tracks.tracks.size() == 1);
      const Track& only = tracks.tracks[0];
      CHECK(only.colour_word == "red");
      CHECK(only.moves);
      CHECK(seen(only) == 48);
      CHECK(worst_error(only, ball) < 0.1);
      CHECK(only.radius() == Approx(6.3).margin(0.15));
    }
  }
}

TEST_CASE("a ball that rests for most of the clip is a body all the time", "[track]") {
  const Ball late{kBlue, 5, [](double t) { return std::pair{20.0 + (t > 40 ? 1.1 * (t - 40) : 0), 30.0}; }};
  const Ball stops{kBlue, 5, [](double t) { return std::pair{10.0 + 1.5 * std::min(t, 15.0), 40.0}; }};
  const Ball creeps{kGreen, 9, [](double t) { return std::pair{30.0 + 0.1 * t, 33.0}; }};
  const Ball still{kRed, 5, [](double) { return std::pair{32.0, 20.0}; }};
  for (const Ball& ball : {late, stops, creeps, still}) {
    const Tracks tracks = track(film({ball}, 60, 64, Ground::gradient, 0.85), 24);
    REQUIRE(tracks.tracks.size() == 1);
    CHECK(seen(tracks.tracks[0]) == 60);
    CHECK(worst_error(tracks.tracks[0], ball) < 0.15);
  }
  CHECK_FALSE(track(film({still}, 60, 64, Ground::plain), 24).tracks[0].moves);
}

TEST_CASE("two balls keep their names through a crossing and a contact", "[track]") {
  const Ball right{kRed, 5, [](double t) { return std::pair{8.0 + 1.2 * t, 32.0}; }};
  const Ball left{kBlue, 5, [](double t) { return std::pair{56.0 - 1.2 * t, 33.0}; }};
  const Tracks crossing = track(film({right, left}, 40, 64, Ground::plain), 24);
  REQUIRE(crossing.tracks.size() == 2);
  REQUIRE(of_colour(crossing, "red"));
  REQUIRE(of_colour(crossing, "blue"));
  CHECK(of_colour(crossing, "red")->frames[38].x == Approx(8 + 1.2 * 38).margin(0.2));

  // The same colour: they meet after 16 frames and part again.
  const auto bounce = [](double from, double way) {
    return [=](double t) { return std::pair{from + way * 1.1 * (t < 17 ? t : 34 - t), 32.0}; };
  };
  const Ball a{kGreen, 5, bounce(8, 1)}, b{kGreen, 5, bounce(56, -1)};
  const auto frames = film({a, b}, 36, 64, Ground::checker);
  const Tracks meeting = track(frames, 24);
  REQUIRE(meeting.tracks.size() == 2);
  for (const Track& t : meeting.tracks) {
    CHECK(seen(t) == 36);
    const Ball& mine = t.frames[0].x < 32 ? a : b;
    CHECK(worst_error(t, mine) < 0.2);
    for (int frame : {15, 16, 17, 18, 19}) {
      CHECK(t.frames[static_cast<std::size_t>(frame)].x == Approx(mine.place(frame).first).margin(1.0));
    }
  }
}

TEST_CASE("balls that touch from the first frame on are told apart", "[track]") {
  const Ball a{kRed, 5, [](double t) { return std::pair{27.0 - (t > 10 ? 0.8 * (t - 10) : 0), 40.0}; }};
  const Ball b{kRed, 5, [](double t) { return std::pair{37.0 + (t > 10 ? 0.8 * (t - 10) : 0), 40.0}; }};
  const Tracks tracks = track(film({a, b}, 30, 64, Ground::plain), 24);
  REQUIRE(tracks.tracks.size() == 2);
  for (const Track& t : tracks.tracks) CHECK(seen(t) == 30);
}

TEST_CASE("a jump keeps its body, a disappearance ends it, an exit is cut", "[track]") {
  const Ball jump{kYellow, 5, [](double t) { return std::pair{10 + t + (t >= 15 ? 20.0 : 0.0), 20.0}; }};
  const Tracks jumped = track(film({jump}, 30, 64, Ground::plain), 24);
  REQUIRE(jumped.tracks.size() == 1);
  CHECK(worst_error(jumped.tracks[0], jump) < 0.1);

  const Ball gone{kYellow, 5, [](double t) { return std::pair{10 + t, t < 15 ? 20.0 : 999.0}; }};
  const Tracks vanished = track(film({gone}, 30, 64, Ground::plain), 24);
  REQUIRE(vanished.tracks.size() == 1);
  CHECK(vanished.tracks[0].last() == 14);
  CHECK_FALSE(vanished.tracks[0].frames[14].cut);

  const Ball leaves{kYellow, 5, [](double t) { return std::pair{20 + 2 * t, 20.0}; }};
  const Tracks left = track(film({leaves}, 40, 64, Ground::plain), 24);
  REQUIRE(left.tracks.size() == 1);
  CHECK(left.tracks[0].frames[static_cast<std::size_t>(left.tracks[0].last())].cut);
}

TEST_CASE("faint things that flicker beside a body are none, faint or short-lived bodies are", "[track]") {
  const auto never = std::pair{-50.0, -50.0};
  // Grey on white is a quarter of black on white.
  const Ball body{{20, 20, 20},
                  7,
                  [](double t) {
                    return std::pair{14 + 0.4 * t, 20.0};
                  }},
      faint{{180, 180, 180},
            5,
            [](double t) {
              return std::pair{20 + 0.3 * t, 50.0};
            }},
      flickers{{180, 180, 180},
               4,
               [&](double t) {
                 return std::fmod(t, 9) < 1 ? std::pair{24 + 0.4 * t, 26.0} : never;
               }},
      brief{{200, 30, 30}, 5, [&](double t) {
              return t >= 20 && t < 28 ? std::pair{50.0, 10.0 + t} : never;
            }};
  CHECK(track(film({body, flickers}, 72, 64, Ground::plain), 24).tracks.size() == 1);
  CHECK(track(film({body, faint}, 72, 64, Ground::plain), 24).tracks.size() == 2);
  CHECK(track(film({body, brief}, 72, 64, Ground::plain), 24).tracks.size() == 2);
  // Too short to tell what flickers.
  CHECK(track(film({body, flickers}, 20, 64, Ground::plain), 24).tracks.size() >= 1);
}

TEST_CASE("noise costs little and black is told from a grey rod", "[track]") {
  const Ball ball{kGreen, 7, [](double t) { return std::pair{12 + 0.9 * t, 60 - 0.7 * t}; }};
  auto frames = film({ball}, 48, 96, Ground::gradient);
  for (std::size_t t = 0; t < frames.size(); ++t) add_noise(frames[t], 6, Random(5, t));
  const Tracks noisy = track(frames, 24);
  REQUIRE(noisy.tracks.size() == 1);
  CHECK(noisy.noise == Approx(6).margin(1));
  CHECK(worst_error(noisy.tracks[0], ball) < 0.35);

  std::vector<Frame> pendulum;
  const auto swing = [](double t) { return 0.7 * std::cos(0.2 * t); };
  for (int t = 0; t < 60; ++t) {
    pendulum.push_back(draw_ground(96, 96, Ground::plain));
    const double a = swing(t), x = 48 + 50 * std::sin(a), y = 10 + 50 * std::cos(a);
    draw_box(pendulum.back(), (48 + x) / 2, (10 + y) / 2, 50, 1.5, 3.14159265 / 2 - a, {74, 74, 80});
    draw_ball(pendulum.back(), x, y, 8, kBlack);
  }
  const Tracks swinging = track(pendulum, 24);
  REQUIRE(of_colour(swinging, "black"));
  double worst = 0;
  for (int t = 0; t < 60; ++t) {
    const Observation& o = of_colour(swinging, "black")->frames[static_cast<std::size_t>(t)];
    REQUIRE(o.visible);
    worst = std::max(worst, std::hypot(o.x - (48 + 50 * std::sin(swing(t))), o.y - (10 + 50 * std::cos(swing(t)))));
  }
  CHECK(worst < 0.4);
}

TEST_CASE("what cannot be tracked says why, and threads change nothing", "[track]") {
  CHECK_FALSE(track({}, 24).reason.empty());
  CHECK_FALSE(track(std::vector<Frame>(10, Frame(32, 32, 255)), 24).reason.empty());
  CHECK(track(std::vector<Frame>(10, Frame(32, 32, 0)), 24).tracks.empty());
  std::vector<Frame> snow(12, Frame(64, 64, 128));
  for (std::size_t t = 0; t < snow.size(); ++t) add_noise(snow[t], 90, Random(1, t));
  CHECK(track(snow, 24).tracks.size() < 3);
  CHECK_THROWS_AS(track(std::vector<Frame>{Frame(8, 8), Frame(9, 8)}, 24), InputError);
  CHECK_THROWS_AS(track(std::vector<Frame>{Frame(8, 8)}, 0), InputError);

  const Ball ball{kRed, 6, [](double t) { return std::pair{10 + t, 20 + 0.02 * t * t}; }};
  const auto frames = film({ball}, 30, 64, Ground::checker);
  const int threads = thread_count();
  set_thread_count(1);
  const Tracks one = track(frames, 24);
  set_thread_count(3);
  const Tracks three = track(frames, 24);
  set_thread_count(threads);
  REQUIRE(one.tracks.size() == three.tracks.size());
  for (std::size_t t = 0; t < 30; ++t) CHECK(one.tracks[0].frames[t].x == three.tracks[0].frames[t].x);
}

TEST_CASE("assignment takes the least total and refuses what is too dear", "[track]") {
  CHECK(tracking::assign({{1, 2}, {2, 9}}, 5) == std::vector<int>{1, 0});
  CHECK(tracking::assign({{3, 9, 1}, {9, 9, 2}}, 5) == std::vector<int>{0, 2});
  CHECK(tracking::assign({{9}, {1}}, 5) == std::vector<int>{-1, 0});
  CHECK(tracking::assign({}, 5).empty());
}

TEST_CASE("colour words", "[track]") {
  CHECK(std::string(colour_name({214, 40, 44})) == "red");
  CHECK(std::string(colour_name({46, 164, 72})) == "green");
  CHECK(std::string(colour_name({44, 92, 222})) == "blue");
  CHECK(std::string(colour_name({240, 204, 36})) == "yellow");
  CHECK(std::string(colour_name({140, 62, 190})) == "purple");
  CHECK(std::string(colour_name({242, 128, 28})) == "orange");
  CHECK(std::string(colour_name({40, 190, 210})) == "cyan");
  CHECK(std::string(colour_name({240, 120, 176})) == "pink");
  CHECK(std::string(colour_name({238, 238, 238})) == "white");
  CHECK(std::string(colour_name({30, 30, 34})) == "black");
}

TEST_CASE("a ball cut by the border or half behind another is placed by what shows of it", "[track]") {
  // Enters from the left, the centre from 2 pixels inside on.
  const Ball enters{kGreen, 8, [](double t) { return std::pair{2 + 0.9 * t, 30 + 0.4 * t}; }};
  const Ball before{kRed, 8, [](double t) { return std::pair{70 - 0.9 * t, 60.0}; }};
  const Ball behind{kBlue, 8, [](double t) { return std::pair{30 + 0.5 * t, 52.0}; }};
  for (const Ground ground : {Ground::plain, Ground::gradient}) {
    const Tracks tracks = track(film({enters, behind, before}, 40, 96, ground), 24);
    REQUIRE(tracks.tracks.size() == 3);
    for (const auto& [word, ball] : {std::pair{"green", enters}, std::pair{"blue", behind}}) {
      const Track* found = of_colour(tracks, word);
      REQUIRE(found);
      int completed = 0;
      double worst = 0;
      for (std::size_t t = 0; t < found->frames.size(); ++t) {
        const Observation& o = found->frames[t];
        if (!o.completed) continue;
        const auto [x, y] = ball.place(static_cast<double>(t));
        worst = std::max(worst, std::hypot(o.x - x, o.y - y));
        CHECK(o.area == Approx(3.14159265 * 64).epsilon(0.04));
        ++completed;
      }
      INFO(word << ", " << completed << " frames, off by " << worst);
      CHECK(completed >= 4);
      CHECK(worst < 0.3);
    }
  }
}

TEST_CASE("an enlarged clip is tracked at its own size", "[track]") {
  const Ball ball{kRed, 6, [](double t) { return std::pair(12 + 1.3 * t, 20 + 0.7 * t); }};
  const std::vector<Frame> own = film({ball}, 30, 64, Ground::checker);
  for (const int side : {256, 341, 512}) {
    std::vector<Frame> large;
    for (const Frame& frame : own) large.push_back(resize(frame, side, side, Filter::sharp));
    CHECK(tracking::native_size(large) == 64);
    const Tracks tracks = track(large, 24);
    INFO("side " << side);
    CHECK(tracks.width == 64);
    CHECK(tracks.scale == Approx(side / 64.0));
    REQUIRE(tracks.tracks.size() == 1);
    CHECK(worst_error(tracks.tracks[0], ball) < 0.15);
  }
  // Drawn at its size, however fine or plain, nothing is taken for blocks.
  for (const Ground ground : {Ground::plain, Ground::checker}) {
    const Ball big{kRed, 24, [](double t) { return std::pair(60 + 5.1 * t, 80 + 2.7 * t); }};
    CHECK(tracking::native_size(film({big}, 30, 256, ground)) == 256);
  }
  CHECK(tracking::native_size(own) == 64);
  // A small ball has few edges: that they fall on the borders of some block size is chance.
  for (int k = 0; k < 400; ++k) {
    const double radius = 2.0 + 0.01 * k, left = 20 + 0.37 * (k % 83), top = 15 + 0.61 * (k % 71);
    const Ball small{kRed, radius, [=](double t) { return std::pair(left, top + 0.03 * t); }};
    CAPTURE(k);
    CHECK(tracking::native_size(film({small}, 8, 96, Ground::plain)) == 96);
  }
}

TEST_CASE("a shadow is no body, a dark ball below another is", "[track]") {
  // A ball bounces; below it goes its shadow, thrown to the left, or a dark ball that falls on its own.
  const auto height = [](double t) { return 60 - std::abs(40 * std::cos(0.12 * t)); };
  const Ball ball{kRed, 6, [=](double t) { return std::pair(30 + 0.9 * t, 20 + height(t)); }};
  const Ball shadow{
      {60, 60, 60}, 5, [=](double t) { return std::pair(20 + 0.9 * t + 0.1 * height(t), 105 - 0.1 * height(t)); }};
  const Ball other{
      {60, 60, 60}, 5, [](double t) { return std::pair(20 + 0.9 * t, 90 + 20 * std::abs(std::sin(0.2 * t))); }};
  CHECK(track(film({ball, shadow}, 48, 128, Ground::plain), 24).tracks.size() == 1);
  CHECK(track(film({ball, other}, 48, 128, Ground::plain), 24).tracks.size() == 2);
}

TEST_CASE("a chromaticity's full colour has that chromaticity", "[track]") {
  for (const TrackColour& colour : {TrackColour{214, 40, 44}, TrackColour{44, 92, 222}, TrackColour{46, 164, 72},
                                    TrackColour{240, 204, 36}, TrackColour{140, 60, 190}, TrackColour{40, 190, 210}}) {
    const tracking::Chroma wanted = tracking::chroma(colour);
    const TrackColour full = tracking::full_colour(wanted);
    CAPTURE(colour.r, colour.g, colour.b);
    CHECK(tracking::chroma_distance2(tracking::chroma(full), wanted) < 1e-9);
    CHECK(std::max({full.r, full.g, full.b}) == Approx(255));
  }
}
