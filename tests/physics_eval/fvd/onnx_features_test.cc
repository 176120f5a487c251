// Networks in ONNX files against onnx's own evaluator (tests/fixtures/make_onnx.py), and files that are none.
#include "physics_eval/fvd/onnx_features.h"

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/files.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

std::string fixture(const std::string& name) { return std::string(ORRERY_TEST_FIXTURES) + "/onnx/" + name; }

std::vector<Frame> clip(int frames) {
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    Frame frame(16, 16);
    for (int y = 0; y < 16; ++y) {
      for (int x = 0; x < 16; ++x) {
        for (int c = 0; c < 3; ++c)
          frame.at(x, y)[c] = static_cast<std::uint8_t>((x * 13 + y * 7 + t * 29 + c * 50) % 256);
      }
    }
    out.push_back(std::move(frame));
  }
  return out;
}

std::map<std::string, std::vector<double>> answers() {
  std::map<std::string, std::vector<double>> out;
  std::ifstream in(fixture("answers.txt"));
  for (std::string line, name; std::getline(in, line);) {
    std::istringstream numbers(line);
    numbers >> name;
    for (double value = 0; numbers >> value;) out[name].push_back(value);
  }
  return out;
}

void check_answer(const std::string& file, const std::vector<Frame>& frames, const std::vector<double>& wanted) {
  CAPTURE(file);
  const auto vectors = make_features("onnx:" + fixture(file))->extract(frames);
  REQUIRE(vectors.size() == 1);
  REQUIRE(vectors[0].size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(vectors[0][i] == Approx(wanted[i]).epsilon(1e-5).margin(1e-6));
}

}  // namespace

TEST_CASE("networks answer as onnx's evaluator says, in each order of their input", "[fvd][onnx]") {
  const auto wanted = answers();
  REQUIRE(wanted.size() == 2);
  check_answer("clip.onnx", clip(4), wanted.at("clip"));
  check_answer("clip.onnx", clip(6), wanted.at("clip"));  // its first four
  check_answer("turned.onnx", clip(4), wanted.at("clip"));
  check_answer("picture.onnx", clip(6), wanted.at("picture"));
}

TEST_CASE("what an ONNX figure is called, and files that are no such network", "[fvd][onnx]") {
  const auto features = make_features("onnx:" + fixture("clip.onnx"));
  CHECK(features->metric() == "fvd-onnx");
  CHECK(features->title() == "Frechet distance (onnx clip.onnx)");
  CHECK(features->least_frames() == 4);
  CHECK_THROWS_AS(features->extract(clip(3)), InputError);
  CHECK_THROWS_WITH(make_features("onnx:" + fixture("flat.onnx")), ContainsSubstring("[1, 48]"));
  CHECK_THROWS_AS(make_features("onnx:" + fixture("answers.txt")), InputError);
  CHECK_THROWS_AS(make_features("onnx:nowhere.onnx"), InputError);
  const std::string whole = read_file(fixture("clip.onnx"));
  const test::TemporaryFolder folder;
  for (const std::size_t cut : {std::size_t{1}, whole.size() / 3, whole.size() - 5}) {
    write_file(folder / "cut.onnx", whole.substr(0, cut));
    CHECK_THROWS_AS(make_features("onnx:" + (folder / "cut.onnx").string()), InputError);
  }
}
