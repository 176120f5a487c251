// Reading: times, seeks, rotation, colours against FFmpeg's own, alpha, depth.
#include "video/io/reader.h"

#include <array>
#include <cstring>

#include "core/base/error.h"
#include "tests/support/catch.h"
#include "tests/video/io/support.h"
#include "video/io/writer.h"

using namespace orrery;
using namespace orrery::testing;

namespace {

// Big-endian helpers for files made by hand.
void append(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

void chunk(std::string& out, const std::string& type, const std::string& data) {
  append(out, static_cast<std::uint32_t>(data.size()));
  out += type + data;
  append(out, crc32(type + data));
}

// A PNG whose pixel data is stored uncompressed: `scanlines` with their filter bytes.
std::string png(int width, int height, char depth, char colour_type, const std::string& scanlines) {
  std::string header;
  append(header, static_cast<std::uint32_t>(width));
  append(header, static_cast<std::uint32_t>(height));
  header += {depth, colour_type, 0, 0, 0};
  std::string data = "\x78\x01\x01";
  const auto length = static_cast<unsigned>(scanlines.size());
  for (const unsigned n : {length, ~length}) {
    data += static_cast<char>(n & 255);
    data += static_cast<char>(n >> 8 & 255);
  }
  data += scanlines;
  std::uint32_t a = 1, b = 0;
  for (const char c : scanlines) a = (a + static_cast<std::uint8_t>(c)) % 65521, b = (b + a) % 65521;
  append(data, b << 16 | a);
  std::string out = "\x89PNG\r\n\x1A\n";
  chunk(out, "IHDR", header);
  chunk(out, "IDAT", data);
  chunk(out, "IEND", "");
  return out;
}

std::string numbered_video(const Scratch& scratch, const char* name, int count, double fps) {
  Clip clip;
  clip.fps = fps;
  for (int i = 0; i < count; ++i) clip.frames.push_back(numbered(64, 48, i));
  write_video(scratch / name, clip);
  return scratch / name;
}

std::vector<int> numbers(VideoReader& reader) {
  std::vector<int> all;
  Frame frame;
  while (reader.next(frame)) all.push_back(number_of(frame));
  return all;
}

}  // namespace

TEST_CASE("resampling shows the frame that is on screen at each time", "[video]") {
  const Scratch scratch;
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a_%02d.png"}) {
    for (const double stored : {24.0, 30.0}) {
      const std::string path = numbered_video(scratch, name, 48, stored);
      for (const double wanted : {24.0, 12.0, 30.0, 60.0, 7.0}) {
        INFO(name << " " << stored << " → " << wanted);
        ReadOptions options;
        options.fps = wanted;
        VideoReader reader(path, options);
        const std::vector<int> got = numbers(reader);
        std::vector<int> expected;
        for (int k = 0; k / wanted < 48 / stored - 1e-9; ++k) {
          expected.push_back(static_cast<int>(std::floor(k * stored / wanted + 1e-9)));
        }
        if (std::string(name) == "a.gif") {
          // Times are hundredths of a second there: now and then a frame sooner or later.
          REQUIRE(std::abs(static_cast<int>(got.size()) - static_cast<int>(expected.size())) <= 1);
          for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
            CHECK(std::abs(got[i] - expected[i]) <= 1);
        } else {
          CHECK(got == expected);
        }
      }
    }
  }
}

TEST_CASE("a seek lands on the frame on screen, forwards and backwards", "[video]") {
  const Scratch scratch;
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif", "a_%02d.png"}) {
    const std::string path = numbered_video(scratch, name, 55, 10);
    VideoReader reader(path);
    ReadOptions options;
    options.fps = 5;
    VideoReader grid(path, options);
    Frame frame;
    for (const int target : {30, 3, 54, 0, 29, 31, 12}) {
      INFO(name << " " << target);
      reader.seek(target / 10.0);
      REQUIRE(reader.next(frame));
      CHECK(number_of(frame) == target);
      CHECK(reader.time() == Approx(target / 10.0).margin(1e-6));
      reader.seek(target / 10.0 + 0.05);
      REQUIRE(reader.next(frame));
      CHECK(number_of(frame) == target);
      if (target < 54) {
        REQUIRE(reader.next(frame));
        CHECK(number_of(frame) == target + 1);
      }
      grid.seek(target / 10.0);
      REQUIRE(grid.next(frame));
      CHECK(number_of(frame) == (target + 1) / 2 * 2);
    }
    reader.seek(5.6);
    CHECK_FALSE(reader.next(frame));
    reader.seek(0);
    CHECK(numbers(reader).size() == 55);
    CHECK_THROWS_AS(reader.seek(-1), InputError);
  }
}

TEST_CASE("a rotated MP4 comes out upright", "[video]") {
  const Scratch scratch;
  const std::string path = scratch / "a.mp4";
  Clip clip;
  clip.frames = {Frame(64, 32, 20)};
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) clip.frames[0].at(x, y)[0] = 250;  // A red mark at the top left as stored.
  }
  write_video(path, clip);
  const std::string whole = slurp(path);
  // The track header's matrix: the ninth and more words after 'tkhd' (ISO 14496-12, 8.3.2).
  const std::size_t matrix = whole.find("tkhd") + 4 + 40;
  const auto rotated = [&](int a, int b, int c, int d) {
    std::string words;
    for (const int value : {a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30}) {
      append(words, static_cast<std::uint32_t>(value));
    }
    std::string bytes = whole;
    bytes.replace(matrix, words.size(), words);
    spill(path, bytes);
    VideoReader reader(path);
    Frame frame;
    REQUIRE(reader.next(frame));
    CHECK(frame.width() == reader.info().width);
    CHECK(frame.height() == reader.info().height);
    const auto red = [&](int x, int y) { return frame.at(x, y)[0] > 150; };
    const int right = frame.width() - 4, bottom = frame.height() - 4;
    std::string corners;
    if (red(3, 3)) corners += "top left";
    if (red(right, 3)) corners += "top right";
    if (red(3, bottom)) corners += "bottom left";
    if (red(right, bottom)) corners += "bottom right";
    return std::to_string(reader.info().rotation) + " " + std::to_string(frame.width()) + " " + corners;
  };
  CHECK(rotated(1, 0, 0, 1) == "0 64 top left");
  CHECK(rotated(0, 1, -1, 0) == "90 32 top right");
  CHECK(rotated(-1, 0, 0, -1) == "180 64 bottom right");
  CHECK(rotated(0, -1, 1, 0) == "270 32 bottom left");
}

TEST_CASE("16-bit and grey pictures keep their values, alpha shows the background", "[video]") {
  const Scratch scratch;
  std::string lines;
  for (int y = 0; y < 2; ++y) {
    lines += '\0';
    for (const int value : {0, 257 * 77, 65535}) {
      for (int c = 0; c < 3; ++c) lines += std::string{static_cast<char>(value >> 8), static_cast<char>(value & 255)};
    }
  }
  spill(scratch / "deep.png", png(3, 2, 16, 2, lines));
  VideoReader deep(scratch / "deep.png");
  CHECK(deep.info().bit_depth == 16);
  Frame frame;
  REQUIRE(deep.next(frame));
  for (int x = 0; x < 3; ++x)
    CHECK(std::abs(frame.at(x, 1)[1] - std::array{0, 77, 255}[static_cast<std::size_t>(x)]) <= 1);

  std::string alpha_lines(1, '\0');
  for (const int alpha : {0, 128, 255}) alpha_lines += std::string{'\xC8', '\x64', '\x32', static_cast<char>(alpha)};
  spill(scratch / "alpha.png", png(3, 1, 8, 6, alpha_lines));
  ReadOptions options;
  options.background = 0x0A141E;
  VideoReader alpha(scratch / "alpha.png", options);
  CHECK(alpha.info().alpha);
  REQUIRE(alpha.next(frame));
  const int expected[3][3] = {{10, 20, 30}, {105, 60, 40}, {200, 100, 50}};
  for (int x = 0; x < 3; ++x) {
    for (int c = 0; c < 3; ++c) CHECK(std::abs(frame.at(x, 0)[c] - expected[x][c]) <= 1);
  }
  CHECK_FALSE(alpha.next(frame));
}

TEST_CASE("the content decides, not the extension", "[video]") {
  const Scratch scratch;
  fs::rename(numbered_video(scratch, "a.mkv", 3, 24), scratch / "b.mp4");
  VideoReader reader(scratch / "b.mp4");
  CHECK(reader.info().codec == "ffv1");
  CHECK(numbers(reader) == std::vector<int>{0, 1, 2});
}
