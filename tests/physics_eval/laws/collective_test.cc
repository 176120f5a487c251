// Laws on bodies of one colour as a whole, and on what only one stretch of a clip shows.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/laws/motion.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr int kFrames = 48, kSize = 128;
constexpr double kRadius = 7, kArea = 3.14159265358979 * kRadius * kRadius;

struct Point {
  double x, y;
};
using Way = std::function<Point(int)>;

// Red discs above a floor from y = 116 down; `hidden`: how much of the red is covered, pixels².
Tracks tracks_of(
    const std::vector<Way>& ways, const std::function<double(int)>& hidden = [](int) { return 0.0; }) {
  Tracks out;
  out.width = out.height = kSize;
  out.fps = 24;
  out.background = Frame(kSize, kSize, 210);
  for (int y = 116; y < kSize; ++y) std::fill_n(out.background.row(y), 3 * kSize, std::uint8_t{110});
  ColourArea red;
  red.colour = {214, 40, 44};
  for (int t = 0; t < kFrames; ++t) {
    const double n = static_cast<double>(ways.size());
    Point mean{0, 0};
    for (const Way& way : ways) mean.x += way(t).x / n, mean.y += way(t).y / n;
    red.area.push_back(n * kArea - hidden(t)), red.x.push_back(mean.x), red.y.push_back(mean.y);
  }
  out.colours.push_back(red);
  Random random(12);
  for (std::size_t k = 0; k < ways.size(); ++k) {
    Track track;
    track.id = static_cast<int>(k);
    track.colour = red.colour;
    track.area = kArea;
    track.moves = true;
    for (int t = 0; t < kFrames; ++t) {
      Observation o;
      o.visible = true;
      o.x = ways[k](t).x + 0.02 * random.normal(), o.y = ways[k](t).y + 0.02 * random.normal();
      o.area = kArea * (1 + 0.002 * random.normal());
      o.xx = o.yy = kRadius * kRadius / 4;
      o.sigma = 0.02;
      o.colour = track.colour;
      track.frames.push_back(o);
    }
    out.tracks.push_back(track);
  }
  return out;
}

LawResult law(const Tracks& tracks, const std::string& name) {
  return score_physics(tracks, {.only = {name}}).laws.at(0);
}

// Falls from `top` and lies on the floor from then on.
Way dropped(double x, double top) {
  return [x, top](int t) { return Point{x, std::min(109.0, top + 0.1 * t * t)}; };
}

}  // namespace

TEST_CASE("a crowd of one colour does not climb above where it began", "[laws]") {
  const std::vector<Way> falling = {dropped(30, 60), dropped(60, 70), dropped(90, 80)};
  CHECK_FALSE(law(tracks_of(falling), "gravity").violated);
  std::vector<Way> risen = falling;
  for (Way& way : risen) {
    way = [way](int t) {
      const Point p = way(std::min(t, 22));
      return Point{p.x, t < 22 ? p.y : p.y - 0.15 * (t - 22) * (t - 22)};
    };
  }
  const LawResult found = law(tracks_of(risen), "gravity");
  CHECK(found.violated);
  CHECK(found.evidence.find("climbs above where it began") != std::string::npos);
  CHECK(std::abs(found.frame - 22) <= 3);
}

TEST_CASE("bodies of one colour do not cover one another", "[laws]") {
  const std::vector<Way> row = {[](int t) { return Point{20 + 1.0 * t, 60}; }, [](int) { return Point{90, 60}; }};
  CHECK_FALSE(law(tracks_of(row), "interpenetration").violated);
  // Bit by bit half a body goes behind the other, and comes out again.
  const auto behind = [](int t) { return kArea * std::max(0.0, 0.5 - 0.1 * std::abs(t - 30)); };
  const LawResult found = law(tracks_of({row[0], [](int) { return Point{110, 60}; }}, behind), "interpenetration");
  CHECK(found.violated);
  CHECK(found.evidence.find("covers itself") != std::string::npos);
  CHECK(std::abs(found.frame - 27) <= 3);
}

TEST_CASE("what leaves the ground does not go straight on", "[laws]") {
  const auto leaves = [](double pull) {
    return Way([pull](int t) {
      const double up = std::max(0, t - 20);
      return Point{15 + 2.0 * t, 109 - 3.2 * up + 0.5 * pull * up * up};
    });
  };
  CHECK_FALSE(law(tracks_of({leaves(0.25)}), "gravity").violated);
  const LawResult found = law(tracks_of({leaves(0)}), "gravity");
  CHECK(found.violated);
  CHECK(found.evidence.find("leaves the ground and does not fall") != std::string::npos);
}

TEST_CASE("a pendulum that soon swings without a pull is found", "[laws]") {
  const auto swing = [](int off) {
    return Way([off](int frame) {
      double angle = -0.7, rate = 0;
      for (int i = 0; i < 50 * frame; ++i) {
        if (i < 50 * off) rate -= 0.012 * std::sin(angle) / 50;
        angle += rate / 50;
      }
      return Point{64 + 60 * std::sin(angle), 20 + 60 * std::cos(angle)};
    });
  };
  const auto hung = [&](int off) {
    Tracks tracks = tracks_of({swing(off)});
    // Its string, a pixel wide.
    for (const Observation& o : tracks.tracks[0].frames) {
      std::vector<LineRun> runs;
      for (int y = 20; y < o.y; ++y) {
        const int x = static_cast<int>(64 + (o.x - 64) * (y + 0.5 - 20) / (o.y - 20));
        runs.push_back({y, x, x + 1});
      }
      tracks.lines.push_back(std::move(runs));
    }
    return tracks;
  };
  CHECK_FALSE(law(hung(kFrames), "oscillation").violated);
  const LawResult found = law(hung(10), "oscillation");
  CHECK(found.violated);
  CHECK(std::abs(found.frame - 10) <= 3);
}

TEST_CASE("a body that winds outwards about another from the start on gains r x v", "[laws]") {
  const auto round = [](double gain) {
    return Way([gain](int frame) {
      double x = 30, y = 0, vx = 0, vy = 2.2;
      for (int i = 0; i < 50 * frame; ++i) {
        const double r = std::hypot(x, y), pull = 30 * 2.2 * 2.2 / (r * r * r);
        vx += (-pull * x + gain * vx) / 50, vy += (-pull * y + gain * vy) / 50;
        x += vx / 50, y += vy / 50;
      }
      return Point{64 + x, 50 + y};
    });
  };
  const auto about = [&](double gain) {
    Tracks tracks = tracks_of({round(gain), [](int) { return Point{64, 50}; }});
    tracks.tracks[1].moves = false;
    return tracks;
  };
  CHECK_FALSE(law(about(0), "orbit").violated);
  const LawResult found = law(about(0.006), "orbit");
  CHECK(found.violated);
  CHECK(found.evidence.find("r x v grows") != std::string::npos);
}

TEST_CASE("what goes along a slope's edge is stopped by no edge", "[laws]") {
  const auto along = [](int stop) {
    return Way([stop](int t) { return Point{20 + 1.6 * std::min(t, stop) + 0.2 * std::max(0, t - stop), 109}; });
  };
  const auto edged = [&](int stop) {
    Tracks tracks = tracks_of({along(stop)});
    // The edge passes for a rod in some frames.
    tracks.lines.resize(kFrames);
    for (std::size_t t = 20; t < 30; ++t) tracks.lines[t] = {{116, 0, kSize}};
    return tracks;
  };
  CHECK_FALSE(law(edged(kFrames), "inertia").violated);
  const LawResult found = law(edged(24), "inertia");
  CHECK(found.violated);
  CHECK(std::abs(found.frame - 24) <= 3);
}

TEST_CASE("what stands still does not fly, whether its ground shows or not", "[laws]") {
  // Lifted by a quarter of a pixel when the clip begins, as blocks are that overlap the ground by a hair.
  const Way falls_late = [](int t) {
    return Point{60, (t == 0 ? 60.28 : 60.0) + (t > 20 ? 0.1 * (t - 20) * (t - 20) : 0.0)};
  };
  CHECK_FALSE(law(tracks_of({falls_late}), "gravity").violated);
}

TEST_CASE("a block that has taken in its neighbour is no block that grew", "[laws]") {
  constexpr int kMeet = 24;
  const auto goes = [](double x) -> Way {
    return [x](int t) { return Point{x + 0.4 * (t < kMeet ? t : kMeet), 100}; };
  };
  const auto arrives = [&](int t) { return Point{goes(40)(t).x + (t < kMeet - 2 ? 20 : 8), 100}; };
  for (const bool gone : {true, false}) {  // or far away and still there
    Tracks tracks = tracks_of({goes(40), gone ? Way(arrives) : goes(90)});
    for (Track& track : tracks.tracks)
      for (Observation& o : track.frames) o.xx = 4, o.yy = 50;
    for (int t = kMeet; t < kFrames; ++t) {
      Observation& both = tracks.tracks[0].frames[static_cast<std::size_t>(t)];
      both.area *= 2, both.xx = 30, both.x += 5;
      tracks.tracks[1].frames[static_cast<std::size_t>(t)].visible = !gone;
    }
    CAPTURE(gone);
    const laws::Path path = laws::make_paths(tracks)[0];
    CHECK(path.clean[kMeet - 1]);
    CHECK(static_cast<bool>(path.clean[kMeet]) == !gone);
    CHECK((path.trust < 1) == gone);
  }
}
