// The rasteriser is right below a pixel, at every size and on every look.
#include "physics_eval/worlds/draw.h"

#include <cmath>

#include "physics_eval/worlds/look.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::worlds;

namespace {

// Centroid of the absolute difference between two frames, in picture coordinates (pixel i covers [i, i + 1)).
Vec2 centroid(const Frame& with, const Frame& without) {
  double sum = 0, x_sum = 0, y_sum = 0;
  for (int y = 0; y < with.height(); ++y) {
    for (int x = 0; x < with.width(); ++x) {
      double difference = 0;
      for (int c = 0; c < 3; ++c) difference += std::abs(int{with.at(x, y)[c]} - int{without.at(x, y)[c]});
      sum += difference, x_sum += difference * (x + 0.5), y_sum += difference * (y + 0.5);
    }
  }
  return {x_sum / sum, y_sum / sum};
}

}  // namespace

TEST_CASE("a drawn ball's centroid is its position to 0.05 pixel", "[worlds]") {
  Random random(7);
  double worst = 0;
  for (int trial = 0; trial < 400; ++trial) {
    Look look = draw_look(random.fork(static_cast<std::uint64_t>(trial)));
    look.background = Background::plain;
    const int size = trial % 2 == 0 ? 64 : 100;
    Frame without(size, size);
    paint_background(look, without);
    Frame with = without;
    const double pixel = 4.0 / size;
    const double radius = random.uniform(4, 10) * pixel;
    const Vec2 at{random.uniform(radius, 4 - radius), random.uniform(radius, 4 - radius)};
    const auto names = draw_colours(look, 1, random.fork(1));
    Canvas canvas(with, pixel);
    canvas.disc(at, radius, colour_of(names[0]), look.shading);
    const Vec2 found = centroid(with, without);
    worst = std::max({worst, std::abs(found.x - at.x / pixel), std::abs(found.y - (size - at.y / pixel))});
  }
  CAPTURE(worst);
  CHECK(worst < 0.05);
}

TEST_CASE("a drawn ball covers its area", "[worlds]") {
  Frame frame(96, 64);
  Canvas canvas(frame, 0.1);
  canvas.disc({4.13, 3.08}, 0.777, {255, 255, 255}, 0);
  double area = 0;
  for (const std::uint8_t byte : frame.bytes()) area += byte / 255.0 / 3;
  CHECK(area == Approx(3.14159265 * 7.77 * 7.77).epsilon(0.005));
}

TEST_CASE("boxes, rectangles and rods cover their area and sit in their place", "[worlds]") {
  Frame empty(80, 80), frame(80, 80);
  Canvas canvas(frame, 0.1);
  SECTION("a turned box") {
    canvas.box({4.03, 3.91}, 2.1, 1.3, 0.6, {255, 255, 255}, 0);
    double area = 0;
    for (const std::uint8_t byte : frame.bytes()) area += byte / 255.0 / 3;
    CHECK(area == Approx(21 * 13).epsilon(0.01));
    const Vec2 found = centroid(frame, empty);
    CHECK(found.x == Approx(40.3).margin(0.05));
    CHECK(found.y == Approx(80 - 39.1).margin(0.05));
  }
  SECTION("a rectangle between pixels") {
    canvas.rectangle({1.03, 2.07}, {3.08, 2.52}, {255, 255, 255});
    double area = 0;
    for (const std::uint8_t byte : frame.bytes()) area += byte / 255.0 / 3;
    CHECK(area == Approx(20.5 * 4.5).epsilon(0.01));
  }
  SECTION("a rod thinner than a pixel keeps its share of light") {
    canvas.capsule({1, 1.05}, {7, 4.33}, 0.03, {255, 255, 255});
    double area = 0;
    for (const std::uint8_t byte : frame.bytes()) area += byte / 255.0 / 3;
    CHECK(area == Approx(0.6 * std::hypot(60, 32.8)).epsilon(0.06));
  }
}

TEST_CASE("nothing outside the picture is written", "[worlds]") {
  Frame frame(16, 16);
  Canvas canvas(frame, 0.25);
  canvas.disc({-3, -3}, 1, {255, 0, 0});
  canvas.disc({40, 2}, 1, {255, 0, 0});
  canvas.capsule({-9, -9}, {-5, 20}, 0.1, {255, 0, 0});
  canvas.box({2, 30}, 1, 1, 0.3, {255, 0, 0});
  canvas.rectangle({-4, -4}, {-1, 9}, {255, 0, 0});
  CHECK(frame == Frame(16, 16));
  canvas.disc({0, 0}, 100, {255, 0, 0}, 0);
  CHECK(int{frame.at(15, 0)[0]} == 255);
}

TEST_CASE("every body colour stands out from every look it may be drawn on", "[worlds]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Look look = draw_look(Random(seed));
    for (const NamedColour& row : named_colours()) {
      if (!(look.dark ? row.on_dark : row.on_light)) continue;
      for (const Colour other : {look.first, look.second, look.ground}) {
        const float gap =
            std::abs(row.colour.r - other.r) + std::abs(row.colour.g - other.g) + std::abs(row.colour.b - other.b);
        CAPTURE(seed, row.name, other.r, other.g, other.b);
        CHECK(gap > 100);
      }
    }
  }
}

TEST_CASE("the same world shows the same picture at every size", "[worlds]") {
  WorldSpec spec;
  for (const SceneInfo& row : scene_registry()) {
    spec.scene = row.name;
    spec.width = spec.height = 64;
    World small(spec);
    spec.width = spec.height = 256;
    World large(spec);
    for (int i = 0; i < 12; ++i) small.step(), large.step();
    const Frame a = small.draw(), b = large.draw();
    double difference = 0;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        for (int c = 0; c < 3; ++c) {
          double mean = 0;
          for (int k = 0; k < 16; ++k) mean += b.at(4 * x + k % 4, 4 * y + k / 4)[c] / 16.0;
          difference += std::abs(mean - a.at(x, y)[c]) / (64 * 64 * 3);
        }
      }
    }
    CAPTURE(row.name, difference);
    CHECK(difference < 1.5);
  }
}
