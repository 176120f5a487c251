// The laws on motion given as tracks: what is lawful passes, each break is named and found in time.
#include "physics_eval/laws/laws.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

constexpr int kFrames = 48, kSize = 128;

struct Point {
  double x, y;
};

// Tracks of discs of radius 7 in a picture with a floor from y = 116 down.
Tracks tracks_of(const std::vector<std::function<Point(int)>>& paths, double noise = 0.02) {
  Tracks out;
  out.width = out.height = kSize;
  out.fps = 24;
  out.background = Frame(kSize, kSize, 210);
  for (int y = 116; y < kSize; ++y) {
    for (int i = 0; i < 3 * kSize; ++i) out.background.row(y)[i] = 110;
  }
  for (std::size_t k = 0; k < paths.size(); ++k) {
    Track track;
    track.id = static_cast<int>(k);
    track.colour = {214, 40, 44};
    track.area = 3.14159265 * 49;
    track.moves = true;
    Random random(11, k);
    for (int t = 0; t < kFrames; ++t) {
      const Point p = paths[k](t);
      Observation o;
      o.visible = p.x < 1000;
      o.x = p.x + noise * random.normal(), o.y = p.y + noise * random.normal();
      o.area = track.area * (1 + 0.002 * random.normal());
      o.xx = o.yy = 49 / 4.0;
      o.sigma = noise;
      o.colour = track.colour;
      track.frames.push_back(o);
    }
    out.tracks.push_back(track);
  }
  return out;
}

const LawResult& law(const PhysicsScore& score, const std::string& name) {
  for (const LawResult& result : score.laws) {
    if (result.law == name) return result;
  }
  throw Error("no law " + name);
}

Point thrown(double t) { return {20 + 1.6 * t, 88 - 4.6 * t + 0.5 * 0.21 * t * t}; }

// Dropped from 60 onto the floor (centre at 109), restitution e.
std::function<Point(int)> bounce(double e) {
  return [e](int frame) {
    const double g = 0.25, floor = 109;
    double y = 50, v = 0;
    const int fine = 200;
    for (int i = 0; i < frame * fine; ++i) {
      v += g / fine, y += v / fine;
      if (y > floor && v > 0) y = floor, v = -e * v;
    }
    return Point{40 + 0.5 * frame, y};
  };
}

}  // namespace

TEST_CASE("lawful motion scores high", "[laws]") {
  for (const auto& path : std::vector<std::function<Point(int)>>{
           thrown, bounce(0.85),
           [](int t) {
             return Point{15 + 1.7 * t, 60};
           },
           [](int t) {
             return Point{64 + 40 * std::sin(0.6 * std::cos(0.13 * t)), 20 + 40 * std::cos(0.6 * std::cos(0.13 * t))};
           },
           [](int t) {
             return Point{64, 60 + 15 * std::cos(0.2 * t)};
           }}) {
    const PhysicsScore score = score_physics(tracks_of({path}));
    std::string found;
    for (const LawResult& result : score.laws)
      found += result.law + " " + std::to_string(result.severity) + " " + result.evidence + "; ";
    INFO(found);
    CHECK(score.reason.empty());
    CHECK(score.score > 0.9);
    CHECK_FALSE(score.violated);
    CHECK(score.frames.size() == kFrames);
    CHECK(score.low > 0.7);
    CHECK(score.high > 0.99);
  }
  // Two equal balls meet head on and exchange their speeds.
  const auto one = [](int t) { return Point{20 + 1.5 * std::min(t + 0.0, 20.4) - 0.9 * std::max(0.0, t - 20.4), 60}; };
  const auto two = [](int t) {
    return Point{83.0 - 0.9 * std::min(t + 0.0, 20.4) + 1.5 * std::max(0.0, t - 20.4), 60};
  };
  CHECK(score_physics(tracks_of({one, two})).score > 0.9);
}

TEST_CASE("free fall and restitution are measured", "[laws]") {
  const PhysicsScore flight = score_physics(tracks_of({thrown}));
  CHECK(law(flight, "gravity").applies);
  CHECK(law(flight, "gravity").measured[1].value == Approx(0.21 * 24 * 24).epsilon(0.02));
  const PhysicsScore fall = score_physics(tracks_of({bounce(0.85)}));
  CHECK(law(fall, "bounce").applies);
  CHECK(law(fall, "bounce").measured[0].value == Approx(0.85).epsilon(0.02));
}

TEST_CASE("each break is found, named and placed", "[laws]") {
  struct Case {
    const char* law;
    int frame;
    std::function<Point(int)> path;
  };
  const std::vector<Case> cases = {{"permanence", 20,
                                    [](int t) {
                                      return t < 20 ? thrown(t) : Point{2000, 0};
                                    }},
                                   {"permanence", 20,
                                    [](int t) {
                                      return t >= 20 ? thrown(t) : Point{2000, 0};
                                    }},
                                   {"permanence", 20,
                                    [](int t) {
                                      const Point p = thrown(t);
                                      return t < 20 ? p : Point{p.x + 15, p.y};
                                    }},
                                   {"inertia", 20, [](int t) { return thrown(std::min(t, 20)); }},
                                   {"gravity", 24,
                                    [](int t) {
                                      const Point p = thrown(24);
                                      return t < 24 ? thrown(t) : Point{p.x + 1.6 * (t - 24), p.y + 0.44 * (t - 24)};
                                    }},
                                   {"time", 20, [](int t) { return thrown(t < 20 ? t : 38 - t); }},
                                   {"interpenetration", 30,
                                    [](int t) {
                                      return Point{40, 40 + 2.5 * t};
                                    }},
                                   {"bounce", 22, bounce(1.3)}};
  for (const Case& c : cases) {
    INFO(c.law);
    const PhysicsScore score = score_physics(tracks_of({c.path}));
    CHECK(score.violated);
    CHECK(score.score < 0.3);
    CHECK(law(score, c.law).violated);
    CHECK(score.low <= score.score);
    CHECK(score.score <= score.high);
    CHECK(score.high < 0.7);
    CHECK(std::abs(law(score, c.law).frame - c.frame) <= 4);
  }
}

TEST_CASE("an orbit keeps its pull; one that loses it is found", "[laws]") {
  // Round (64, 60), k = 40³ · (2π/70)²; from frame 26 on the pull is doubled, gone or as it was.
  for (const double factor : {1.0, 2.0, 0.0}) {
    std::vector<Point> at;
    double x = 40, y = 0, vx = 0, vy = -40 * 6.283185307179586 / 70;
    const double k = std::pow(40.0, 3) * std::pow(6.283185307179586 / 70, 2);
    for (int t = 0; t < kFrames; ++t) {
      at.push_back({64 + x, 56 + y});
      for (int i = 0; i < 400; ++i) {
        const double r = std::hypot(x, y), pull = k * (t >= 26 ? factor : 1) / (r * r * r) / 400;
        vx -= pull * x, vy -= pull * y, x += vx / 400, y += vy / 400;
      }
    }
    Tracks tracks = tracks_of({[&](int t) { return at[static_cast<std::size_t>(t)]; },
                               [](int) {
                                 return Point{64, 56};
                               }});
    tracks.tracks[1].moves = false;
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(factor);
    CHECK(law(score, "orbit").applies);
    CHECK(law(score, "orbit").violated == (factor != 1.0));
    if (factor != 1.0) CHECK(std::abs(law(score, "orbit").frame - 26) <= 5);
    if (factor == 1.0) CHECK(score.score > 0.9);
  }
}

TEST_CASE("an orbit that gains r x v is found", "[laws]") {
  for (const double growth : {0.0, 0.0125}) {  // a share of the speed a frame, from frame 22 on
    std::vector<Point> at;
    double x = 36, y = 0, vx = 0, vy = -36 * 6.283185307179586 / 80;
    const double k = std::pow(36.0, 3) * std::pow(6.283185307179586 / 80, 2);
    for (int t = 0; t < kFrames; ++t) {
      at.push_back({56 + x, 58 + y});
      for (int i = 0; i < 400; ++i) {
        const double r = std::hypot(x, y), pull = k / (r * r * r) / 400, gain = t >= 22 ? growth / 400 : 0;
        vx += gain * vx - pull * x, vy += gain * vy - pull * y, x += vx / 400, y += vy / 400;
      }
    }
    Tracks tracks = tracks_of({[&](int t) { return at[static_cast<std::size_t>(t)]; },
                               [](int) {
                                 return Point{56, 58};
                               }});
    tracks.tracks[1].moves = false;
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(growth);
    CHECK(law(score, "orbit").applies);
    CHECK(law(score, "orbit").violated == (growth > 0));
    if (growth > 0) CHECK(std::abs(law(score, "orbit").frame - 22) <= 5);
  }
}

TEST_CASE("a stop right after a bounce is a push of its own", "[laws]") {
  // Two frames after it left the floor it hangs still and falls again.
  const auto path = [](int frame) {
    double y = 30, v = 0, x = 40;
    for (int i = 0; i < frame * 200; ++i) {
      if (i == 30 * 200) v = 0;
      x += (i < 30 * 200 ? 1.0 : 0.0) / 200, v += 0.2 / 200, y += v / 200;
      if (y > 109 && v > 0) y = 109, v = -0.9 * v;
    }
    return Point{x, y};
  };
  const PhysicsScore score = score_physics(tracks_of({path}));
  CHECK(law(score, "inertia").violated);
  CHECK(std::abs(law(score, "inertia").frame - 30) <= 1);
}

TEST_CASE("a jump is one, also with a slight push right before it", "[laws]") {
  for (const double slight : {0.0, 0.7, 1.5, 3.0}) {
    INFO("pushed by " << slight);
    const auto flies = [slight](int t) {
      const double way = t < 19 ? 0 : slight * (t - 18);
      return Point{14 + 1.3 * t + (t >= 20 ? 30.0 : 0.0) + way, 30 + 0.04 * t * t - (t >= 20 ? 12.0 : 0.0)};
    };
    const PhysicsScore score = score_physics(tracks_of({flies}), {});
    CHECK(score.violated);
    CHECK(law(score, "permanence").score < 0.5);
    CHECK(std::abs(score.worst_frame - 20) <= 3);
  }
}

TEST_CASE("balls on strings that strike one another swing by one pull", "[laws]") {
  // The left one swings in and stops, the right one swings out; from frame 12 on `factor` of the pull is left.
  for (const double factor : {1.0, 0.0, 2.0}) {
    double left = -0.8, left_rate = 0, right = 0, right_rate = 0;
    std::vector<Point> a, b;
    for (int t = 0; t < kFrames; ++t) {
      a.push_back({50 + 45 * std::sin(left), 20 + 45 * std::cos(left)});
      b.push_back({64.05 + 45 * std::sin(right), 20 + 45 * std::cos(right)});
      for (int i = 0; i < 200; ++i) {
        const double pull = 0.012 * (t >= 12 ? factor : 1) / 200;
        left_rate -= pull * std::sin(left), left += left_rate / 200;
        right_rate -= pull * std::sin(right), right += right_rate / 200;
        if (left > right && left_rate > right_rate) std::swap(left_rate, right_rate);
      }
    }
    const auto at = [](const std::vector<Point>& points) {
      return [&points](int t) { return points[static_cast<std::size_t>(t)]; };
    };
    Tracks tracks = tracks_of({at(a), at(b)});
    tracks.tracks[1].colour = {40, 90, 220};
    for (Observation& o : tracks.tracks[1].frames) o.colour = tracks.tracks[1].colour;
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(factor, law(score, "oscillation").evidence, law(score, "oscillation").severity);
    CHECK(law(score, "oscillation").applies);
    CHECK(law(score, "oscillation").violated == (factor != 1.0));
  }
}

TEST_CASE("balls that touch and swing side by side are each a pendulum", "[laws]") {
  for (const double factor : {1.0, 0.0, 4.0}) {  // of the pull, from frame 22 on
    // Two come down on a third that hangs still; the first stays, the others go on.
    double lean = -0.7, rate = 0;
    std::vector<Point> balls[3];
    for (int t = 0; t < kFrames; ++t) {
      for (int k = 0; k < 3; ++k) {
        const double mine = (k == 0 && lean > 0) || (k == 2 && lean < 0) ? 0 : lean;
        balls[k].push_back({40 + 14.05 * k + 45 * std::sin(mine), 20 + 45 * std::cos(mine)});
      }
      for (int i = 0; i < 200; ++i) rate -= 0.012 * (t >= 22 ? factor : 1) / 200 * std::sin(lean), lean += rate / 200;
    }
    const auto at = [&](int k) { return [&points = balls[k]](int t) { return points[static_cast<std::size_t>(t)]; }; };
    const PhysicsScore score = score_physics(tracks_of({at(0), at(1), at(2)}));
    CAPTURE(factor, law(score, "oscillation").evidence, law(score, "oscillation").severity);
    CHECK(law(score, "oscillation").applies);
    CHECK(law(score, "oscillation").violated == (factor != 1.0));
  }
}

TEST_CASE("a slope that one level of brightness a step makes is a slope", "[laws]") {
  // Rolls down a slanting edge of low contrast: no free flight, hence no quarrel with gravity.
  const auto path = [](int t) { return Point{26 + 0.03 * t * t, 49 + 0.012 * t * t}; };
  Tracks tracks = tracks_of({path});
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      // Seven pixels below the path of the centre, along its normal.
      const double above = (49 + 0.4 * (x - 26) + 7.54) - (y + 0.5);
      const double share = std::clamp(0.5 - above, 0.0, 1.0);
      for (int c = 0; c < 3; ++c) tracks.background.at(x, y)[c] = static_cast<std::uint8_t>(210 - 24 * share);
    }
  }
  const PhysicsScore score = score_physics(tracks);
  for (const Measured& m : law(score, "gravity").measured) CHECK(m.name != "acceleration_y");
  CHECK(score.score > 0.9);
}

TEST_CASE("a ball that takes another colour did not vanish", "[laws]") {
  Tracks tracks = tracks_of({thrown, thrown});
  for (int t = 0; t < kFrames; ++t) {
    tracks.tracks[t < 20 ? 1 : 0].frames[static_cast<std::size_t>(t)].visible = false;
    tracks.tracks[1].frames[static_cast<std::size_t>(t)].colour = {235, 235, 235};
  }
  tracks.tracks[1].colour = {235, 235, 235};
  const PhysicsScore score = score_physics(tracks);
  CHECK(law(score, "colour").violated);
  CHECK(law(score, "colour").frame == 20);
  CHECK_FALSE(law(score, "permanence").violated);
}

TEST_CASE("gravity that changes within a flight is placed", "[laws]") {
  for (const double factor : {0.0, 2.0, -1.0}) {
    const auto path = [factor](int frame) {
      double y = 70, v = -3.4;
      for (int i = 0; i < frame * 50; ++i) v += 0.2 * (i >= 22 * 50 ? factor : 1) / 50, y += v / 50;
      return Point{20 + 1.1 * frame, std::max(y, 15.0)};
    };
    const PhysicsScore score = score_physics(tracks_of({path}));
    CAPTURE(factor);
    CHECK(law(score, "gravity").violated);
    CHECK(std::abs(law(score, "gravity").frame - 22) <= 3);
  }
}

TEST_CASE("two bodies fall alike: the ratio of squared times is that of the heights", "[laws]") {
  const auto fall = [](double x, double from, double g) {
    return [=](int t) { return Point{x, std::min(109.0, from + 0.5 * g * t * t)}; };
  };
  const PhysicsScore alike = score_physics(tracks_of({fall(30, 20, 0.16), fall(90, 60, 0.16)}));
  REQUIRE(law(alike, "gravity-ratio").applies);
  CHECK(law(alike, "gravity-ratio").measured[0].value == Approx(1).epsilon(0.03));
  CHECK_FALSE(law(alike, "gravity-ratio").violated);
  const PhysicsScore unlike = score_physics(tracks_of({fall(30, 20, 0.16), fall(90, 60, 0.09)}));
  CHECK(law(unlike, "gravity-ratio").measured[0].value == Approx(0.09 / 0.16).epsilon(0.05));
  CHECK(law(unlike, "gravity-ratio").violated);
}

TEST_CASE("a swing or spring that goes over to another law half-way is found", "[laws]") {
  // The string is cut off from gravity, or the spring's rest moves.
  const auto pendulum = [](int frame) {
    double angle = -0.7, rate = 0;
    for (int i = 0; i < frame * 50; ++i) rate -= (i < 20 * 50 ? 0.02 : 0) * std::sin(angle) / 50, angle += rate / 50;
    return Point{64 + 40 * std::sin(angle), 30 + 40 * std::cos(angle)};
  };
  const auto spring = [](int frame) {
    double y = 14, v = 0;
    for (int i = 0; i < frame * 50; ++i) v -= 0.04 * (y - (i < 26 * 50 ? 0 : 12)) / 50, y += v / 50;
    return Point{64, 56 + y};
  };
  for (const auto& [path, frame] : {std::pair<std::function<Point(int)>, int>{pendulum, 20}, {spring, 26}}) {
    const PhysicsScore score = score_physics(tracks_of({path}));
    CAPTURE(frame);
    CHECK(law(score, "oscillation").violated);
    CHECK(std::abs(law(score, "oscillation").frame - frame) <= 4);
  }
}

TEST_CASE("a colour's amount neither jumps nor goes without a body", "[laws]") {
  Tracks tracks = tracks_of({thrown});
  ColourArea water;
  water.colour = {40, 90, 250};
  for (int t = 0; t < kFrames; ++t) {
    water.area.push_back(t < 30 ? 900 + 3 * t : 0);
    water.x.push_back(60), water.y.push_back(90);
  }
  tracks.colours = {water};
  const PhysicsScore gone = score_physics(tracks);
  CHECK(law(gone, "permanence").violated);
  CHECK(law(gone, "permanence").frame == 30);
  for (int t = 30; t < kFrames; ++t) tracks.colours[0].area[static_cast<std::size_t>(t)] = 500;
  const PhysicsScore halved = score_physics(tracks);
  CHECK(law(halved, "rigidity").violated);
  CHECK(law(halved, "rigidity").frame == 30);
  for (int t = 0; t < kFrames; ++t) tracks.colours[0].area[static_cast<std::size_t>(t)] = 900 - 9 * t;
  CHECK(score_physics(tracks).score > 0.9);
}

TEST_CASE("who is pushed by another pushes it as hard", "[laws]") {
  // The left one turns back before they meet, or both do.
  const auto turns = [](double from, double speed, bool turned) {
    return [=](int t) { return Point{from + speed * (turned && t > 20 ? 40.8 - t : t), 60}; };
  };
  const PhysicsScore both = score_physics(tracks_of({turns(20, 1.5, true), turns(95.5, -1.5, true)}));
  CHECK_FALSE(law(both, "inertia").violated);
  const PhysicsScore one = score_physics(tracks_of({turns(20, 1.5, true), turns(90, -1.2, false)}));
  CHECK(law(one, "inertia").violated);
  CHECK(std::abs(law(one, "inertia").frame - 21) <= 2);
}

TEST_CASE("a collision by a floor makes no energy", "[laws]") {
  // Rolling balls meet; they part at their speeds, or leap up at three times those.
  for (const double leap : {0.0, 3.0}) {
    const auto rolls = [leap](double from, double speed) {
      return [=](int t) {
        const double after = std::max(0.0, t - 20.4);
        return Point{from + speed * (std::min(t + 0.0, 20.4) - after), 108.5 - leap * after + 0.09 * after * after};
      };
    };
    Tracks tracks = tracks_of({rolls(20, 1.5), rolls(95.2, -1.5)});
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(leap, law(score, "momentum").evidence);
    CHECK(law(score, "momentum").violated == (leap > 0));
    if (leap > 0) CHECK(std::abs(law(score, "momentum").frame - 21) <= 1);
  }
}

TEST_CASE("a fast bounce that swallows what a slow one gives back", "[laws]") {
  // It stops on the floor at frame 20, or just above it and falls again; later bounces keep nine tenths.
  for (const bool stopped : {false, true}) {
    const auto path = [stopped](int frame) {
      double y = 30, v = 0;
      for (int i = 0; i < frame * 200; ++i) {
        v += 0.4 / 200, y += v / 200;
        if (y > 106 && v > 5 && stopped) v = 0;
        if (y > 109 && v > 0) y = 109, v = -0.9 * v;
      }
      return Point{40, y};
    };
    const PhysicsScore score = score_physics(tracks_of({path}));
    CAPTURE(stopped, law(score, "bounce").evidence);
    CHECK(law(score, "bounce").applies);
    CHECK(law(score, "bounce").violated == stopped);
  }
}

TEST_CASE("a wall's bounce is measured between those off the floor", "[laws]") {
  // A wall from x = 112; a hop every seven frames keeps undisturbed flights short.
  for (const double e : {0.9, 1.4}) {
    const auto path = [e](int frame) {
      double x = 40, y = 106, u = 2.4, v = -0.5;
      for (int i = 0; i < frame * 200; ++i) {
        v += 0.2 / 200, x += u / 200, y += v / 200;
        if (y > 109 && v > 0) y = 109, v = -0.95 * v;
        if (x > 105 && u > 0) u = -e * u;
      }
      return Point{x, y};
    };
    Tracks tracks = tracks_of({path});
    for (int y = 0; y < kSize; ++y) {
      for (int i = 3 * 112; i < 3 * kSize; ++i) tracks.background.row(y)[i] = 110;
    }
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(e, law(score, "bounce").evidence);
    CHECK(law(score, "bounce").applies);
    CHECK(law(score, "bounce").violated == (e > 1));
  }
}

TEST_CASE("time that turns at the floor is told from a bounce", "[laws]") {
  // Up again the way it came down, or on in its direction.
  for (const bool turned : {false, true}) {
    const auto path = [turned](int t) {
      const double tau = t <= 24 ? 24 - t : t - 24;
      return Point{(turned && t > 24 ? 20 + 1.2 * (48 - t) : 20 + 1.2 * t), 108.6 - 4.6 * tau + 0.1 * tau * tau};
    };
    const PhysicsScore score = score_physics(tracks_of({path}));
    CAPTURE(turned);
    CHECK(law(score, "time").violated == turned);
    if (turned) CHECK(std::abs(law(score, "time").frame - 25) <= 1);
  }
}

TEST_CASE("a floor seen from above is no wall", "[laws]") {
  // The floor begins at y = 80 in the picture; the ball flies before it and bounces at 109, or falls through there
  // later.
  for (const bool falls : {false, true}) {
    const auto path = [falls](int frame) {
      double y = 50, v = 0;
      for (int i = 0; i < frame * 200; ++i) {
        v += 0.6 / 200, y += v / 200;
        if (y > 102 && v > 0 && !(falls && i > 30 * 200)) y = 102, v = -0.9 * v;
      }
      return y < 134 ? Point{30 + 1.1 * frame, y} : Point{2000, 0};
    };
    Tracks tracks = tracks_of({path});
    for (int y = 80; y < kSize; ++y) {
      for (int i = 0; i < 3 * kSize; ++i) tracks.background.row(y)[i] = 110;
    }
    const PhysicsScore score = score_physics(tracks);
    for (const LawResult& one : score.laws) {
      CAPTURE(falls, one.law, one.evidence);
      CHECK(one.violated == (falls && one.law == "interpenetration"));
    }
    CHECK(law(score, "bounce").applies);
    CHECK(law(score, "gravity").applies);
  }
  // A ball that goes into it and on does not make it open.
  Tracks tracks = tracks_of({[](int t) { return Point{40, 30 + 0.05 * t * t}; }});
  for (int y = 80; y < kSize; ++y) {
    for (int i = 0; i < 3 * kSize; ++i) tracks.background.row(y)[i] = 110;
  }
  CHECK(law(score_physics(tracks), "interpenetration").violated);
}

TEST_CASE("a shaken body is named by inertia, not by its jumps", "[laws]") {
  // Most of it is a few pixels, once it is many.
  Random random(5, 5);
  std::vector<Point> offset;
  for (int t = 0; t < kFrames; ++t) {
    const double far = t == 40 ? 25 : 3;
    offset.push_back({far * (random.uniform() < 0.5 ? -1 : 1), 3 * random.normal()});
  }
  const PhysicsScore score = score_physics(tracks_of({[&](int t) {
    const Point p = thrown(t);
    const Point d = t < 16 ? Point{0, 0} : offset[static_cast<std::size_t>(t)];
    return Point{p.x + d.x, p.y + d.y};
  }}));
  CHECK(law(score, "inertia").severity > 3);
  CHECK_FALSE(law(score, "permanence").violated);
}

TEST_CASE("an amount that goes as its body is painted over is a colour's business", "[laws]") {
  Tracks tracks = tracks_of({thrown});
  ColourArea red;
  red.colour = tracks.tracks[0].colour;
  for (int t = 0; t < kFrames; ++t) {
    Observation& o = tracks.tracks[0].frames[static_cast<std::size_t>(t)];
    if (t >= 22) o.colour = {240, 240, 240};
    red.area.push_back(t < 22 ? o.area : 0), red.x.push_back(o.x), red.y.push_back(o.y);
  }
  tracks.colours = {red};
  const PhysicsScore score = score_physics(tracks);
  CHECK(law(score, "colour").violated);
  CHECK(law(score, "colour").frame == 22);
  CHECK_FALSE(law(score, "permanence").violated);
}

TEST_CASE("what slides along at one height is borne, not weightless", "[laws]") {
  // One is thrown; the other goes level with nothing below that the picture shows, or sinks straight on.
  for (const double sinks : {0.0, 0.5}) {
    const auto level = [sinks](int t) { return Point{100 - 0.6 * t, 40 + sinks * t}; };
    const PhysicsScore score = score_physics(tracks_of({thrown, level}));
    CAPTURE(sinks);
    CHECK(law(score, "gravity").applies);
    CHECK(law(score, "gravity").violated == (sinks > 0));
  }
}

TEST_CASE("a pendulum is stopped by no string", "[laws]") {
  // At frame 24 it stands still and swings on from there; the string hangs from (64, 20).
  double angle = -0.9, rate = 0;
  std::vector<Point> at;
  std::vector<std::vector<LineRun>> lines;
  for (int t = 0; t < kFrames; ++t) {
    if (t == 24) rate = 0;
    at.push_back({64 + 50 * std::sin(angle), 20 + 50 * std::cos(angle)});
    lines.emplace_back();
    for (int k = 4; k < 43; ++k) {
      const int x = static_cast<int>(64 + k * std::sin(angle)), y = static_cast<int>(20 + k * std::cos(angle));
      lines.back().push_back({y, x, x + 1});
    }
    for (int i = 0; i < 200; ++i) rate -= 0.012 * std::sin(angle) / 200, angle += rate / 200;
  }
  Tracks tracks = tracks_of({[&](int t) { return at[static_cast<std::size_t>(t)]; }});
  tracks.lines = lines;
  const PhysicsScore score = score_physics(tracks);
  CHECK(law(score, "inertia").violated);
  CHECK(std::abs(law(score, "inertia").frame - 24) <= 1);
}

TEST_CASE("a fast curve is no push, at the clip's end neither", "[laws]") {
  // Round and round, ever faster: the acceleration is another one in each frame.
  const auto round = [](int t) {
    const double angle = 0.05 * t + 0.0015 * t * t;
    return Point{64 + 40 * std::cos(angle), 60 + 40 * std::sin(angle)};
  };
  const PhysicsScore score = score_physics(tracks_of({round}));
  CAPTURE(law(score, "inertia").evidence);
  CHECK(law(score, "inertia").score > 0.9);
}

TEST_CASE("a neighbour taken for a part for two frames neither shakes nor stops a body", "[laws]") {
  const auto rests = [](int t) {
    return t == 20 || t == 21 ? Point{54.2 + 1.2 * (t - 20), 60} : Point{t < 20 ? 60.0 : 48.0, 60};
  };
  for (const bool larger : {true, false}) {
    Tracks tracks = tracks_of({rests, [](int) { return Point{90, 60}; }});
    for (const int t : {20, 21}) {
      Observation& o = tracks.tracks[0].frames[static_cast<std::size_t>(t)];
      if (larger) o.area *= 1.5;
    }
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(larger, law(score, "inertia").evidence);
    CHECK(law(score, "inertia").violated == !larger);
  }
}

TEST_CASE("a box that sinks into the floor is found like a ball", "[laws]") {
  for (const bool sinks : {false, true}) {
    const auto falls = [sinks](int t) { return Point{40, std::min(sinks ? 200.0 : 109.8, 40 + 0.06 * t * t)}; };
    Tracks tracks = tracks_of({falls});
    for (Observation& o : tracks.tracks[0].frames) o.xx = o.yy = o.area / 12;  // a square's
    const PhysicsScore score = score_physics(tracks);
    CAPTURE(sinks);
    CHECK(law(score, "interpenetration").violated == sinks);
  }
}

TEST_CASE("what cannot be judged says so", "[laws]") {
  const PhysicsScore still = score_physics(Tracks{});
  CHECK(std::isnan(still.score));
  Tracks named;
  named.reason = "cuts";
  CHECK(score_physics(named).reason == "cuts");
  LawOptions options;
  options.only = {"alchemy"};
  CHECK_THROWS_AS(score_physics(tracks_of({thrown}), options), InputError);
  options.only = {"gravity"};
  CHECK(score_physics(tracks_of({thrown}), options).laws.size() == 1);
}
