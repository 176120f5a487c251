// Balls and boxes of one colour side by side, drawn and tracked: each is a body, and what happens to one shows.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "physics_eval/track/thick.h"
#include "physics_eval/track/track.h"
#include "tests/support/catch.h"
#include "tests/support/draw_scene.h"

using namespace orrery;
using namespace orrery::test;

namespace {

constexpr int kFrames = 48, kSize = 96;
constexpr double kPi = 3.14159265358979323846, kHook = 12, kString = 50, kRadius = 6.3;
constexpr Paint kWater{52, 112, 186};

std::vector<Frame> film(const std::function<void(Frame&, int)>& draw) {
  std::vector<Frame> frames;
  for (int t = 0; t < kFrames; ++t) draw(frames.emplace_back(draw_ground(kSize, kSize, Ground::plain)), t);
  return frames;
}

// A ball on a dark string from the hook over its place of rest.
void hang(Frame& frame, double rest, double lean, const Paint& colour, double radius = kRadius) {
  const double x = rest + kString * std::sin(lean), y = kHook + kString * std::cos(lean);
  draw_box(frame, (rest + x) / 2, (kHook + y) / 2, kString, 1.2, kPi / 2 - lean, {70, 70, 74});
  draw_ball(frame, x, y, radius, colour, 0.1);
}

// From the right into a row of `count` at rest: the last one lets go of nothing, the first one swings out.
std::vector<Frame> cradle(int count, const Paint& colour, const std::function<void(Frame&, int, int, double)>& ball) {
  std::vector<double> leans;
  double lean = 0.28, rate = 0;
  for (int t = 0; t < kFrames; ++t) {
    leans.push_back(lean);
    for (int i = 0; i < 100; ++i) rate -= 0.012 * std::sin(lean) / 100, lean += rate / 100;
  }
  return film([&](Frame& frame, int t) {
    const double now = leans[static_cast<std::size_t>(t)];
    for (int k = 0; k < count; ++k) {
      const double rest = 24 + 12.6 * k;
      const bool swings = now > 0 ? k == count - 1 : k == 0;
      if (swings) {
        hang(frame, rest, now, colour);
      } else {
        ball(frame, t, k, rest);
      }
    }
  });
}

double severity(const std::vector<Frame>& frames, const std::string& name) {
  for (const LawResult& result : score_physics(track(frames, 24)).laws) {
    if (result.law == name) return result.severity;
  }
  return -1;
}

}  // namespace

TEST_CASE("a row of hanging balls is as many bodies, whatever its strings", "[laws][track]") {
  for (const Paint& colour : {kRed, kBlack}) {
    for (const int count : {3, 4, 5}) {
      INFO(count << (colour.r > 100 ? " red" : " black"));
      const auto frames =
          cradle(count, colour, [&](Frame& frame, int, int, double rest) { hang(frame, rest, 0, colour); });
      const Tracks tracks = track(frames, 24);
      REQUIRE(tracks.tracks.size() == static_cast<std::size_t>(count));
      for (const Track& track : tracks.tracks) {
        CHECK(track.last() - track.first() == kFrames - 1);
        CHECK(std::abs(track.area - kPi * kRadius * kRadius) < 0.08 * track.area);
      }
      CHECK(score_physics(tracks).score > 0.9);
    }
  }
}

TEST_CASE("strings are cut off a row of balls; a bar is no row", "[track]") {
  const auto pixels_of = [](const std::function<bool(double, double)>& inside) {
    tracking::Region region{{}, 0, 1, kSize, 0, 0, 0};
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        if (!inside(x + 0.5, y + 0.5)) continue;
        region.runs.push_back({y, x, x + 1});
        if (region.pixels++ == 0) region.min_y = y;
        region.min_x = std::min(region.min_x, x), region.max_x = std::max(region.max_x, x), region.max_y = y;
      }
    }
    int kept = 0;
    for (const auto& run : tracking::thick_part(region)) kept += run.x1 - run.x0;
    return kept;
  };
  const auto row = [](int count) {
    return [count](double x, double y) {
      for (int k = 0; k < count; ++k) {
        const double rest = 20 + 12.6 * k;
        if (std::hypot(x - rest, y - 62) < 6.7 || (std::abs(x - rest) < 1.3 && y > kHook && y < 62)) return true;
      }
      return false;
    };
  };
  for (const int count : {3, 4, 5}) CHECK(std::abs(pixels_of(row(count)) - count * kPi * 6.7 * 6.7) < 20 * count);
  CHECK(pixels_of([](double x, double y) { return x > 10 && x < 80 && y > 40 && y < 52; }) == 0);
}

TEST_CASE("one of a resting row that becomes a square or smaller has changed", "[laws]") {
  const auto with = [](const std::function<void(Frame&, double)>& changed) {
    return cradle(4, kRed, [&](Frame& frame, int t, int k, double rest) {
      if (k == 1 && t >= 30) {
        changed(frame, rest);
      } else {
        hang(frame, rest, 0, kRed);
      }
    });
  };
  const double side = kRadius * std::sqrt(kPi);
  CHECK(severity(with([](Frame& frame, double rest) { hang(frame, rest, 0, kRed); }), "rigidity") < 0.5);
  CHECK(severity(with([&](Frame& frame, double rest) { draw_box(frame, rest, kHook + kString, side, side, 0, kRed); }),
                 "rigidity") > 1);
  CHECK(severity(with([](Frame& frame, double rest) { hang(frame, rest, 0, kRed, 4); }), "rigidity") > 1);
}

TEST_CASE("a box among others of its colour that becomes a ball has changed its outline", "[laws]") {
  const auto heap = [](int changed) {
    return film([&](Frame& frame, int t) {
      // The upper one comes down and slides along on the lower two, over the gap between them.
      const double x = 30 + 0.4 * t, y = std::min(70 - 12.2, 20 + 0.6 * t * t);
      draw_box(frame, 36, 70, 12, 12, 0, kRed);
      draw_box(frame, 50, 70, 12, 12, 0, kRed);
      if (t < changed) {
        draw_box(frame, x, y, 12, 12, 0, kRed);
      } else {
        draw_ball(frame, x, y, 12 / std::sqrt(kPi), kRed, 0);
      }
      draw_box(frame, 48, 79, 96, 5, 0, {120, 116, 112});
    });
  };
  CHECK(severity(heap(kFrames), "rigidity") < 0.5);
  CHECK(severity(heap(24), "rigidity") > 1);
}

TEST_CASE("what jumps out of water is the same body, not the hole that it leaves", "[laws][track]") {
  const auto frames = film([](Frame& frame, int t) {
    const double wave = 0.6 * std::sin(0.4 * t);
    for (int x = 0; x < kSize; ++x) {
      const double top = 52 + wave * std::sin(2 * kPi * x / kSize);
      draw_box(frame, x + 0.5, (top + kSize) / 2, 1, kSize - top, 0, kWater);
    }
    const double bob = 56 + 0.5 * std::sin(0.3 * t);
    if (t < 30) {
      draw_ball(frame, 48, bob, 9, kRed, 0.1);
    } else {
      // Its hole stays open for a while.
      draw_ball(frame, 48, 57, 9 - 0.3 * (t - 30), {215, 211, 207}, 0);
      draw_ball(frame, 48, 24 + 0.08 * (t - 30) * (t - 30), 9, kRed, 0.1);
    }
  });
  const Tracks tracks = track(frames, 24);
  int seen = 0;
  for (const Track& track : tracks.tracks) {
    if (track.colour.r > 150 && track.colour.g < 100) seen = std::max(seen, track.last() - track.first() + 1);
  }
  CHECK(seen == kFrames);
  CHECK(severity(frames, "permanence") > 1);
}

TEST_CASE("one of two that touch and go along together vanishes, though nothing could hide it", "[laws]") {
  const auto pair = [](int last) {
    return film([&](Frame& frame, int t) {
      draw_ball(frame, 20 + 0.8 * t, 40, 6, kBlack, 0.1);
      if (t <= last) draw_ball(frame, 33 + 0.8 * t, 40, 6, kBlack, 0.1);
    });
  };
  CHECK(severity(pair(kFrames), "permanence") < 0.5);
  CHECK(severity(pair(24), "permanence") > 1);
}

TEST_CASE("what comes out of a crowd at a distance has appeared, though its colour's amount stays", "[laws]") {
  const auto leaves = [](int from) {
    return film([&](Frame& frame, int t) {
      draw_box(frame, 20 + 0.2 * t, 70, t < from ? 24 : 14, 12, 0, kRed);
      if (t >= from) draw_box(frame, 76, 30 + 0.3 * (t - from), 10, 12, 0, kRed);
    });
  };
  CHECK(severity(leaves(kFrames), "permanence") < 0.5);
  CHECK(severity(leaves(24), "permanence") > 1);
}

TEST_CASE("a picture in which nothing moves but something vanishes is judged", "[laws]") {
  const auto still = [](int last) {
    return film([&](Frame& frame, int t) {
      draw_ball(frame, 30, 60, 8, kRed, 0.1);
      if (t <= last) draw_ball(frame, 66, 60, 8, {40, 90, 220}, 0.1);
    });
  };
  CHECK(score_physics(track(still(kFrames), 24)).reason == "nothing moves");
  CHECK(score_physics(track(still(24), 24)).score < 0.5);
}
