// Squares as PyTorch and TensorFlow 1 make them (tests/fixtures/make_squares.py).
#include "physics_eval/fvd/prepare.h"

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

Frame picture(int width, int height) {
  Frame frame(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c)
        frame.at(x, y)[c] = static_cast<std::uint8_t>((x * x * 3 + y * 17 + x * y + c * 70) % 256);
    }
  }
  return frame;
}

}  // namespace

TEST_CASE("clips are made square as the published implementations do", "[fvd]") {
  const std::map<std::string, Squaring> ways{{"squash", Squaring::squash},
                                             {"squash_corner", Squaring::squash_corner},
                                             {"crop", Squaring::crop},
                                             {"crop_then_squash", Squaring::crop_then_squash}};
  std::ifstream file(std::string(ORRERY_TEST_FIXTURES) + "/squares.txt");
  std::string line, way;
  int cases = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    int width = 0, height = 0, side = 0;
    REQUIRE((in >> way >> width >> height >> side));
    CAPTURE(way, width, height, side);
    const Frame frame = picture(width, height);
    const Tensor square = square_clip(std::vector<Frame>{frame, frame}, side, ways.at(way));
    REQUIRE(square.shape() == Shape{2, side, side, 3});
    const std::vector<float> values = square.to_vector();
    // Half a last digit of the fixture; whole bytes in between may fall to the other side of a border.
    const double off_by_one = way == "crop_then_squash" ? 1 / 127.5 : 0;
    int apart = 0, count = 0;
    const std::size_t each = values.size() / 2;
    for (std::size_t i = 0; i < each; i += 97, ++count) {
      double wanted = 0;
      REQUIRE((in >> wanted));
      const double difference = std::abs(static_cast<double>(values[i]) - wanted);
      CHECK(difference <= 3e-6 + off_by_one);
      apart += difference > 3e-6;
      CHECK(values[i] == values[each + i]);
    }
    CHECK(apart <= count / 50);
    ++cases;
  }
  CHECK(cases == 16);
}

TEST_CASE("clips that are none", "[fvd]") {
  CHECK_THROWS_AS(square_clip({}, 8, Squaring::squash), InputError);
  CHECK_THROWS_AS(square_clip(std::vector<Frame>{Frame()}, 8, Squaring::squash), InputError);
  CHECK_THROWS_AS(square_clip(std::vector<Frame>{Frame(4, 4), Frame(4, 5)}, 8, Squaring::squash), InputError);
}
