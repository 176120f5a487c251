// Files that other tools wrote (tests/fixtures/make_videos.sh, the ffmpeg command): varying frame rates, more bits, odd
// sizes, turned and stretched pictures, transparency, clocks that do not begin at 0. What they show is known.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tests/video/io/support.h"
#include "video/io/reader.h"

using namespace orrery;
using namespace orrery::testing;

namespace {

using Rgb = std::array<int, 3>;

std::string file(const char* name) { return std::string(ORRERY_TEST_FIXTURES) + "/video/" + name; }

// Which colour of the coloured fixtures this is, to within `most` levels a component: r, g, b, grey ("x"), or "?".
char letter(const std::uint8_t* pixel, int most) {
  const std::pair<char, Rgb> colours[] = {
      {'r', {200, 40, 40}}, {'g', {40, 180, 60}}, {'b', {40, 60, 220}}, {'x', {128, 128, 128}}};
  for (const auto& [name, rgb] : colours) {
    int worst = 0;
    for (int c = 0; c < 3; ++c) worst = std::max(worst, std::abs(pixel[c] - rgb[static_cast<std::size_t>(c)]));
    if (worst <= most) return name;
  }
  return '?';
}

// The quarters' colours: top left, top right, bottom left, bottom right.
std::string quarters(const Frame& frame, int most) {
  const int x = frame.width() / 4, y = frame.height() / 4, right = frame.width() - 1 - x, low = frame.height() - 1 - y;
  return {letter(frame.at(x, y), most), letter(frame.at(right, y), most), letter(frame.at(x, low), most),
          letter(frame.at(right, low), most)};
}

std::vector<int> numbers(VideoReader& reader) {
  std::vector<int> all;
  Frame frame;
  while (reader.next(frame)) all.push_back(number_of(frame));
  return all;
}

}  // namespace

TEST_CASE("a varying frame rate keeps its times", "[video]") {
  const std::vector<int> stored = {0, 1, 2, 5, 6, 10, 15, 16, 17, 23};
  for (const char* name : {"vfr.mp4", "vfr.mkv"}) {
    INFO(name);
    VideoReader reader(file(name));
    Frame frame;
    for (const int number : stored) {
      REQUIRE(reader.next(frame));
      CHECK(number_of(frame) == number);
      CHECK(reader.time() == Approx(number / 24.0).margin(0.0011));  // Matroska counts milliseconds
    }
    CHECK_FALSE(reader.next(frame));
    for (const double fps : {24.0, 12.0, 60.0, 5.0}) {
      ReadOptions options;
      options.fps = fps;
      VideoReader grid(file(name), options);
      const std::vector<int> got = numbers(grid);
      INFO(fps);
      REQUIRE(got.size() >= std::floor(23 * fps / 24) + 1);
      for (std::size_t k = 0; k < got.size(); ++k) {
        const double at = 24 * static_cast<double>(k) / fps;  // in pictures of the 24 a second they came from
        CHECK(got[k] == *std::prev(std::upper_bound(stored.begin(), stored.end(), at + 0.03)));
      }
    }
    for (const int target : {8, 16, 4, 22}) {
      reader.seek(target / 24.0 + 0.002);
      REQUIRE(reader.next(frame));
      CHECK(number_of(frame) == *std::prev(std::upper_bound(stored.begin(), stored.end(), target)));
    }
  }
}

TEST_CASE("more bits and other subsamplings keep their colours", "[video]") {
  const struct {
    const char* name;
    int bits, most;
  } cases[] = {{"ten_bit.mp4", 10, 4}, {"ten_bit_422.mkv", 10, 4}, {"twelve_bit.mkv", 12, 1}, {"full_range.avi", 8, 3}};
  for (const auto& [name, bits, most] : cases) {
    INFO(name);
    VideoReader reader(file(name));
    CHECK(reader.info().bit_depth == bits);
    Frame frame;
    int count = 0;
    for (; reader.next(frame); ++count) CHECK(quarters(frame, most) == "rgbx");
    CHECK(count == 3);
  }
}

TEST_CASE("lossless RGB comes out as it went in", "[video]") {
  VideoReader reader(file("lossless_rgb.mp4"));
  Frame frame;
  int count = 0;
  for (; reader.next(frame); ++count) {
    CHECK(frame.width() == 37);
    CHECK(frame.height() == 20);
    CHECK(quarters(frame, 0) == "rgbx");
  }
  CHECK(count == 3);
}

TEST_CASE("odd sizes of other tools keep size and colours", "[video]") {
  for (const auto& [name, width, height] : {std::tuple{"odd.webm", 35, 19}, {"odd_444.mp4", 33, 17}}) {
    INFO(name);
    VideoReader reader(file(name));
    Frame frame;
    REQUIRE(reader.next(frame));
    CHECK(frame.width() == width);
    CHECK(frame.height() == height);
    CHECK(quarters(frame, 5) == "rgbx");
  }
}

TEST_CASE("a turned picture comes out upright, a stretched one with square pixels", "[video]") {
  VideoReader turned(file("rotated.mp4"));
  CHECK(turned.info().audio);
  CHECK(turned.info().rotation == 270);
  Frame frame;
  REQUIRE(turned.next(frame));
  CHECK(frame.width() == 32);
  CHECK(frame.height() == 48);
  CHECK(quarters(frame, 4) == "gxrb");
  VideoReader stretched(file("wide_pixels.mp4"));
  REQUIRE(stretched.next(frame));
  CHECK(frame.width() == 48);
  CHECK(frame.height() == 32);
  CHECK(quarters(frame, 4) == "rgbx");
}

TEST_CASE("transparency shows the background, in VP9, QuickTime and ProRes", "[video]") {
  for (const auto& [name, most] : {std::pair{"alpha.webm", 5}, {"alpha.mov", 1}, {"alpha_prores.mov", 3}}) {
    INFO(name);
    ReadOptions options;
    options.background = 0x0A141E;
    VideoReader reader(file(name), options);
    CHECK(reader.info().alpha);
    Frame frame;
    int count = 0;
    for (; reader.next(frame); ++count) {
      const Rgb expected[] = {{10, 20, 30}, {105, 60, 40}, {200, 100, 50}};
      for (int third = 0; third < 3; ++third) {
        for (int c = 0; c < 3; ++c) {
          const int wanted = expected[third][static_cast<std::size_t>(c)];
          CAPTURE(third, c, int{frame.at(16 * third + 8, 8)[c]});
          CHECK(std::abs(frame.at(16 * third + 8, 8)[c] - wanted) <= most);
        }
      }
    }
    CHECK(count == 3);
  }
}

TEST_CASE("streams that do not begin at 0, reorder their pictures or change their size", "[video]") {
  std::vector<int> twelve(12);
  for (int i = 0; i < 12; ++i) twelve[static_cast<std::size_t>(i)] = i;
  for (const char* name : {"offset.ts", "b_frames.avi"}) {
    INFO(name);
    VideoReader reader(file(name));
    Frame frame;
    REQUIRE(reader.next(frame));
    CHECK(reader.time() == Approx(0).margin(1e-6));
    CHECK(number_of(frame) == 0);
    reader.seek(0);
    CHECK(numbers(reader) == twelve);
    reader.seek(7 / 24.0 + 0.005);
    REQUIRE(reader.next(frame));
    CHECK(number_of(frame) == 7);
    ReadOptions options;
    options.fps = 12;
    VideoReader grid(file(name), options);
    CHECK(numbers(grid) == std::vector<int>{0, 2, 4, 6, 8, 10});
  }
  VideoReader changing(file("size_change.h264"));
  Frame frame;
  std::vector<int> seen;
  while (changing.next(frame)) {
    CHECK(frame.width() == changing.info().width);
    CHECK(frame.height() == changing.info().height);
    seen.push_back(number_of(frame));
  }
  CHECK(seen == std::vector<int>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5});
}
