// I3D against PyTorch on random weights (tests/fixtures/make_i3d.py), its files, and the pictures it is given.
#include "physics_eval/fvd/i3d.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/torch_file.h"
#include "physics_eval/fvd/features.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

std::string fixture(const std::string& name) { return std::string(ORRERY_TEST_FIXTURES) + "/i3d/" + name; }

// The formula of make_i3d.py.
double hashed(std::uint64_t i, std::uint64_t seed) {
  std::uint64_t x = i + seed * 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return static_cast<double>((x ^ (x >> 31)) >> 40) / 16777216.0;
}

// A checkpoint made in memory, tensor by tensor in the order of the published state_dict.
class Checkpoint {
 public:
  Checkpoint() {
    add_conv("logits.conv3d", 400, 1024, 1);
    add("logits.conv3d.bias", {400});
    add_unit("Conv3d_1a_7x7", 64, 3, 7), add_unit("Conv3d_2b_1x1", 64, 64, 1), add_unit("Conv3d_2c_3x3", 192, 64, 3);
    std::int64_t inputs = 192;
    add_module("3b", inputs, {64, 96, 128, 16, 32, 32}), add_module("3c", inputs, {128, 128, 192, 32, 96, 64});
    add_module("4b", inputs, {192, 96, 208, 16, 48, 64}), add_module("4c", inputs, {160, 112, 224, 24, 64, 64});
    add_module("4d", inputs, {128, 128, 256, 24, 64, 64}), add_module("4e", inputs, {112, 144, 288, 32, 64, 64});
    add_module("4f", inputs, {256, 160, 320, 32, 128, 128}), add_module("5b", inputs, {256, 160, 320, 32, 128, 128});
    add_module("5c", inputs, {384, 192, 384, 48, 128, 128});
  }
  std::vector<SafetensorsEntry> entries;

 private:
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    SafetensorsEntry entry;
    entry.name = name, entry.shape = std::move(shape);
    std::vector<float>& values = storage_.emplace_back(static_cast<std::size_t>(entry.numel()));
    const double fan = entry.shape.size() == 5 ? static_cast<double>(entry.numel() / entry.shape[0]) : 0;
    const auto ends = [&](const std::string& end) {
      return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
    };
    const bool variance = ends("running_var"), scale = ends("bn.weight");
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double u = hashed(i, seed_);
      values[i] = static_cast<float>(fan > 0    ? (2 * u - 1) * std::sqrt(6.0 / fan)
                                     : variance ? 0.5 + u
                                     : scale    ? 0.8 + 0.4 * u
                                                : 0.4 * u - 0.2);
    }
    entry.data = std::as_bytes(std::span<const float>(values));
    entries.push_back(entry);
    ++seed_;
  }
  void add_conv(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    add(name + ".weight", {out, in, kernel, kernel, kernel});
  }
  void add_unit(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    add_conv(name + ".conv3d", out, in, kernel);
    for (const char* vector : {"weight", "bias", "running_mean", "running_var"}) add(name + ".bn." + vector, {out});
    ++seed_;  // num_batches_tracked
  }
  void add_module(const std::string& name, std::int64_t& in, const std::vector<std::int64_t>& out) {
    const std::string at = "Mixed_" + name + ".";
    add_unit(at + "b0", out[0], in, 1), add_unit(at + "b1a", out[1], in, 1), add_unit(at + "b1b", out[2], out[1], 3);
    add_unit(at + "b2a", out[3], in, 1), add_unit(at + "b2b", out[4], out[3], 3), add_unit(at + "b3b", out[5], in, 1);
    in = out[0] + out[2] + out[4] + out[5];
  }

  std::deque<std::vector<float>> storage_;
  std::uint64_t seed_ = 0;
};

std::vector<Frame> clip(int frames, int seed) {
  std::vector<Frame> out;
  for (int t = 0; t < frames; ++t) {
    Frame frame(224, 224);
    for (int y = 0; y < 224; ++y) {
      for (int x = 0; x < 224; ++x) {
        for (int c = 0; c < 3; ++c)
          frame.at(x, y)[c] =
              static_cast<std::uint8_t>(((x * (2 + seed) + 5 * t) * (y + 3 * t + 1) / 16 + 40 * c) % 256);
      }
    }
    out.push_back(std::move(frame));
  }
  return out;
}

// Largest difference from the fixture's logits, which are of the order of 1, as a share of their largest.
double worst_difference(const I3d& network, const std::string& file) {
  std::ifstream in(fixture(file));
  std::string line;
  double worst = 0;
  int cases = 0;
  while (std::getline(in, line)) {
    std::istringstream numbers(line);
    int frames = 0, seed = 0;
    numbers >> frames >> seed;
    const std::vector<double> mine = network.logits(square_clip(clip(frames, seed), I3d::kSide, Squaring::squash));
    double largest = 0, difference = 0;
    for (const double m : mine) {
      double theirs = 0;
      REQUIRE((numbers >> theirs));
      largest = std::max(largest, std::abs(theirs)), difference = std::max(difference, std::abs(m - theirs));
    }
    CHECK(largest > 0.1);
    worst = std::max(worst, difference / std::max(1.0, largest));
    ++cases;
  }
  CHECK(cases >= 2);
  return worst;
}

}  // namespace

TEST_CASE("I3D of full size answers as PyTorch's does", "[fvd][i3d][slow]") {
  const Checkpoint checkpoint;
  const I3d network(checkpoint.entries, "made here");
  CHECK(network.outputs() == 400);
  CHECK(network.first_width() == 64);
  CHECK(network.last_width() == 1024);
  const double worst = worst_difference(network, "logits.txt");
  INFO("worst difference " << worst);
  CHECK(worst <= 1e-4);
}

TEST_CASE("I3D from PyTorch's files, by published names and without them", "[fvd][i3d]") {
  for (const char* file : {"small.pt", "small_script.pt"}) {
    CAPTURE(file);
    const I3d network = I3d::open(fixture(file));
    CHECK(network.outputs() == 20);
    CHECK(worst_difference(network, "small.txt") <= 1e-4);
  }
}

TEST_CASE("I3D from safetensors, and by the other port's names", "[fvd][i3d]") {
  const TorchFile file = TorchFile::open(fixture("small.pt"));
  std::vector<SafetensorsEntry> renamed = file.entries();
  const std::vector<std::pair<std::string, std::string>> names{
      {"logits.", "conv3d_0c_1x1."}, {"Conv3d_", "conv3d_"},    {"Mixed_", "mixed_"},      {".bn.", ".batch3d."},
      {".b0.", ".branch_0."},        {".b1a.", ".branch_1.0."}, {".b1b.", ".branch_1.1."}, {".b2a.", ".branch_2.0."},
      {".b2b.", ".branch_2.1."},     {".b3b.", ".branch_3.1."}};
  for (SafetensorsEntry& entry : renamed) {
    for (const auto& [from, to] : names) {
      const auto at = entry.name.find(from);
      if (at != std::string::npos) entry.name.replace(at, from.size(), to);
    }
    entry.name = "module." + entry.name;
  }
  const test::TemporaryFolder folder;
  write_safetensors(folder / "i3d.safetensors", renamed);
  CHECK(worst_difference(I3d::open(folder / "i3d.safetensors"), "small.txt") <= 1e-4);
}

TEST_CASE("checkpoints and clips that are not I3D's", "[fvd][i3d]") {
  const TorchFile file = TorchFile::open(fixture("small.pt"));
  std::vector<SafetensorsEntry> entries = file.entries();
  const auto find = [&](const std::string& name) {
    return std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == name; });
  };
  const I3d network(entries, "small");
  CHECK_THROWS_WITH(network.logits(Tensor::zeros({8, 224, 224, 3})), ContainsSubstring("at least 9"));
  CHECK_THROWS_AS(network.logits(Tensor::zeros({9, 112, 112, 3})), InputError);
  std::swap(find("Mixed_4b.b1a.conv3d.weight")->shape[0], find("Mixed_4b.b1a.conv3d.weight")->shape[1]);
  CHECK_THROWS_AS(I3d(entries, "bent"), InputError);
  entries = file.entries();
  entries.erase(find("Mixed_5c.b0.bn.running_var"));
  CHECK_THROWS_WITH(I3d(entries, "bent"), ContainsSubstring("batch normalisation"));
  entries.erase(find("Mixed_5c.b0.conv3d.weight"));
  CHECK_THROWS_WITH(I3d(entries, "bent"), ContainsSubstring("57 convolutions"));
  // FVD is what the published network says, not a smaller one.
  CHECK_THROWS_WITH(make_features("i3d:" + fixture("small.pt")), ContainsSubstring("400"));
  CHECK_THROWS_AS(make_features("i3d:" + fixture("small.txt")), InputError);
  CHECK_THROWS_AS(make_features("i3d:nowhere.pt"), InputError);
}
