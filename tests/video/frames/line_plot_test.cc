// Curves land where their numbers say.
#include "video/frames/line_plot.h"

#include <cmath>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

bool has_colour(const Frame& frame, int x, std::uint32_t colour, int& lowest, int& highest) {
  lowest = -1, highest = -1;
  for (int y = 0; y < frame.height(); ++y) {
    const std::uint8_t* at = frame.at(x, y);
    if ((std::uint32_t{at[0]} << 16 | std::uint32_t{at[1]} << 8 | at[2]) != colour) continue;
    if (highest < 0) highest = y;
    lowest = y;
  }
  return lowest >= 0;
}

}  // namespace

TEST_CASE("a rising line rises, and a higher curve is drawn above", "[line_plot]") {
  const std::vector<Curve> curves{{"low", {{0, 0}, {100, 1}}, 0xFF0000}, {"high", {{0, 2}, {100, 3}}, 0x0000FF}};
  const Frame page = make_line_plot(curves);
  int before = 0, top = 0, after = 0;
  REQUIRE(has_colour(page, 300, 0xFF0000, before, top));
  REQUIRE(has_colour(page, 700, 0xFF0000, after, top));
  CHECK(after < before - 10);
  int high = 0;
  REQUIRE(has_colour(page, 300, 0x0000FF, high, top));
  CHECK(high < before - 50);
}

TEST_CASE("points that are not finite are left out, and a page without points is refused", "[line_plot]") {
  const Curve broken{"x", {{0, std::nan("")}, {1, INFINITY}}, 0xFF0000};
  CHECK_THROWS_AS(make_line_plot(std::vector<Curve>{broken}), InputError);
  CHECK_THROWS_AS(make_line_plot({}), InputError);
  Curve mended = broken;
  mended.points.emplace_back(2, 5);
  CHECK(make_line_plot(std::vector<Curve>{mended}).width() == 960);
  LinePlot small;
  small.width = 20;
  CHECK_THROWS_AS(make_line_plot(std::vector<Curve>{mended}, small), InputError);
}

TEST_CASE("pages stack", "[line_plot]") {
  const Curve line{"x", {{0, 1}, {1, 2}}, 0xFF0000};
  const std::vector<Frame> pages{make_line_plot(std::vector<Curve>{line}), make_line_plot(std::vector<Curve>{line})};
  const Frame all = stack_frames(pages);
  CHECK(all.height() == 2 * pages[0].height());
  CHECK(std::equal(pages[0].bytes().begin(), pages[0].bytes().end(), all.bytes().begin()));
  CHECK_THROWS_AS(stack_frames({}), InputError);
}
