// Resizing, hashing, contact sheets.
#include <cmath>

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "tests/support/catch.h"
#include "video/frames/contact_sheet.h"
#include "video/frames/frame_hash.h"
#include "video/frames/resize.h"

using namespace orrery;

namespace {

Frame noise(int width, int height, std::uint64_t seed) {
  Frame frame(width, height);
  Random random(seed);
  for (std::uint8_t& byte : frame.bytes()) byte = static_cast<std::uint8_t>(random.next_u32());
  return frame;
}

constexpr Filter kFilters[] = {Filter::nearest, Filter::area, Filter::bilinear, Filter::lanczos, Filter::sharp};

}  // namespace

TEST_CASE("SHA-256 gives FIPS 180-4's known answers however the text is cut", "[sha256]") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (std::size_t cut = 0; cut <= 130; ++cut) {
    const std::string text(130, 'x');
    Sha256 hash;
    hash.update(text.substr(0, cut));
    hash.update(text.substr(cut));
    CHECK(hash.finish_hex() == sha256_hex(text));
  }
}

TEST_CASE("a frame hash knows the size and every byte", "[frames]") {
  const Frame a = noise(6, 4, 1);
  Frame b = a;
  CHECK(frames_sha256(std::vector<Frame>{a, b}) == frames_sha256(std::vector<Frame>{b, a}));
  b.at(5, 3)[2] ^= 1;
  CHECK(frames_sha256(std::vector<Frame>{a}) != frames_sha256(std::vector<Frame>{b}));
  CHECK(frames_sha256(std::vector<Frame>{Frame(2, 3)}) != frames_sha256(std::vector<Frame>{Frame(3, 2)}));
}

TEST_CASE("resizing keeps a flat picture flat and the mean of any", "[frames]") {
  for (const Filter filter : kFilters) {
    for (const auto& [width, height] : {std::pair{1, 1}, {7, 3}, {64, 64}, {13, 101}}) {
      const Frame flat = resize(Frame(17, 11, 93), width, height, filter);
      CHECK(flat == Frame(width, height, 93));
    }
  }
  const Frame picture = noise(64, 64, 2);
  double mean = 0;
  for (const std::uint8_t byte : picture.bytes()) mean += byte;
  mean /= static_cast<double>(picture.bytes().size());
  const Frame one = resize(picture, 1, 1, Filter::area);
  const double got = (one.at(0, 0)[0] + one.at(0, 0)[1] + one.at(0, 0)[2]) / 3.0;
  CHECK(std::fabs(got - mean) <
        4);  // Three channels' means, each over 4096 samples of deviation 74: σ ≈ 0.7, plus rounding.
}

TEST_CASE("area halves a frame to the mean of four", "[frames]") {
  Frame frame(2, 2);
  const int values[4] = {10, 20, 30, 41};
  for (int i = 0; i < 4; ++i) frame.at(i % 2, i / 2)[0] = static_cast<std::uint8_t>(values[i]);
  CHECK(int{resize(frame, 1, 1, Filter::area).at(0, 0)[0]} == 25);
}

TEST_CASE("sharp and nearest repeat whole pixels at whole multiples", "[frames]") {
  const Frame frame = noise(5, 3, 3);
  for (const Filter filter : {Filter::nearest, Filter::sharp}) {
    const Frame large = resize(frame, 20, 12, filter);
    bool same = true;
    for (int y = 0; y < 12; ++y) {
      for (int x = 0; x < 20; ++x)
        same = same && std::equal(large.at(x, y), large.at(x, y) + 3, frame.at(x / 4, y / 4));
    }
    CHECK(same);
  }
}

TEST_CASE("no filter moves the picture: the centroid of a spot stays", "[frames]") {
  Frame frame(32, 32);
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      const double r = std::hypot(x + 0.5 - 12.3, y + 0.5 - 19.1);
      frame.at(x, y)[0] = static_cast<std::uint8_t>(std::lround(255 * std::exp(-r * r / 18)));
    }
  }
  for (const Filter filter : kFilters) {
    for (const int size : {24, 50, 128}) {
      const Frame other = resize(frame, size, size, filter);
      double sum = 0, sx = 0, sy = 0;
      for (int y = 0; y < size; ++y) {
        for (int x = 0; x < size; ++x) {
          const double value = other.at(x, y)[0];
          sum += value, sx += value * (x + 0.5), sy += value * (y + 0.5);
        }
      }
      const double scale = 32.0 / size;
      // Nearest drops or repeats whole source pixels: up to a quarter of one here.
      const double bound = filter == Filter::nearest ? 0.25 : 0.05;
      CHECK(std::fabs(sx / sum * scale - 12.3) < bound);
      CHECK(std::fabs(sy / sum * scale - 19.1) < bound);
    }
  }
}

TEST_CASE("resizing gives the same bytes for any thread count", "[frames]") {
  const Frame frame = noise(63, 65, 4);
  const int before = thread_count();
  set_thread_count(1);
  const Frame one = resize(frame, 200, 130);
  set_thread_count(3);
  CHECK(resize(frame, 200, 130) == one);
  set_thread_count(before);
}

TEST_CASE("a contact sheet holds every frame in its place and the labels under them", "[frames]") {
  std::vector<Frame> frames;
  for (int i = 0; i < 5; ++i) frames.push_back(noise(20, 10, 10 + static_cast<std::uint64_t>(i)));
  ContactSheet options;
  options.columns = 3;
  const Frame plain = make_contact_sheet(frames, {}, options);
  CHECK(plain.width() == 3 * 24 + 4);
  CHECK(plain.height() == 2 * 14 + 4);
  for (int i = 0; i < 5; ++i) {
    const Frame& frame = frames[static_cast<std::size_t>(i)];
    for (int y = 0; y < 10; ++y) {
      CHECK(std::equal(frame.row(y), frame.row(y) + 60, plain.at(4 + i % 3 * 24, 4 + i / 3 * 14 + y)));
    }
  }
  const std::vector<std::string> labels = {"a", "", "", "", ""};
  const Frame labelled = make_contact_sheet(frames, labels, options);
  CHECK(labelled.height() == 2 * 25 + 4);
  CHECK(int{labelled.at(4 + 1, 4 + 10 + 3)[0]} == 0xE0);  // The top of an A: dots 1 to 3 of 5.
  CHECK(int{labelled.at(4, 4 + 10 + 3)[0]} == 0x20);
  CHECK_THROWS(make_contact_sheet({}, {}, options));
}
