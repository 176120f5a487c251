// How a distance between sets of the worlds' clips grows with what is done to one of them: a row a deed, a column a
// strength. Two sets of lawful clips that share no seed come first: what is nothing but chance.
// Usage: set_distances_bench [--features NAME] [--count CLIPS] [--seed N]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "physics_eval/fvd/features.h"
#include "physics_eval/fvd/frechet.h"
#include "physics_eval/worlds/sample.h"
#include "video/frames/resize.h"

namespace {

using namespace orrery;

using Frames = std::vector<Frame>;
using Vectors = std::vector<std::vector<double>>;

constexpr int kFrames = 32, kBreak = 12;

worlds::SampleOptions sample_options() {
  worlds::SampleOptions options;
  options.frames = kFrames;
  // Without water, which is drawn a hundred times slower than all else.
  for (const auto& row : worlds::scene_registry())
    if (row.weight > 0 && row.name != "pour" && row.name != "dam" && row.name != "float")
      options.scenes.emplace_back(row.name);
  return options;
}

Frames clip_of(std::uint64_t seed, std::uint64_t index) {
  return worlds::sample_clip(seed, index, sample_options()).frames;
}

// A twin of a clip with some law broken in frame 12, the kind drawn evenly.
Frames twin_of(std::uint64_t seed, std::uint64_t index) {
  worlds::WorldSpec spec = worlds::sample_spec(seed, index, sample_options());
  Random random = Random(seed, 0x7477696E).fork(index);
  const std::vector<std::string> kinds = worlds::corruptions_of(spec);
  spec.corruption = worlds::CorruptionSpec{kinds[random.below(kinds.size())], kBreak};
  worlds::World world(spec);
  Frames out{world.draw()};
  for (int f = 1; f < kFrames; ++f) world.step(), out.push_back(world.draw());
  return out;
}

void add_noise(Frames& frames, double sigma, Random& random) {
  for (Frame& frame : frames)
    for (std::uint8_t& byte : frame.bytes())
      byte = static_cast<std::uint8_t>(std::clamp(std::lround(byte + sigma * random.normal()), 0L, 255L));
}

// Through a smaller picture: `share` of the side is lost.
void blur(Frames& frames, double share) {
  for (Frame& frame : frames) {
    const int side = frame.width(), small = std::max(1, static_cast<int>(std::lround(side * (1 - share))));
    frame = resize(resize(frame, small, small, Filter::area), side, side, Filter::bilinear);
  }
}

// `share` of the frames change places with one another.
void disorder(Frames& frames, double share, Random& random) {
  std::vector<std::size_t> order(frames.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto count = static_cast<std::size_t>(std::lround(share * static_cast<double>(frames.size())));
  for (std::size_t i = 0; i < count; ++i) std::swap(order[i], order[i + random.below(order.size() - i)]);
  for (std::size_t i = 0; i + 1 < count; ++i) std::swap(frames[order[i]], frames[order[i + 1]]);
}

struct Deed {
  const char* name;
  std::vector<double> strengths;
  /// Clip `index` of the seed with the deed done to it.
  std::function<Frames(std::uint64_t seed, std::uint64_t index, double strength, Random& random)> make;
};

std::vector<Deed> deeds() {
  const auto changed = [](auto change) {
    return [change](std::uint64_t seed, std::uint64_t index, double strength, Random& random) {
      Frames frames = clip_of(seed, index);
      change(frames, strength, random);
      return frames;
    };
  };
  return {
      {"noise, sigma of 255", {4, 8, 16, 32, 64}, changed([](Frames& f, double s, Random& random) {
         add_noise(f, s, random);
       })},
      {"resolution lost", {0.125, 0.25, 0.5, 0.75, 0.875}, changed([](Frames& f, double s, Random&) { blur(f, s); })},
      {"frames out of order", {0.0625, 0.125, 0.25, 0.5, 1}, changed([](Frames& f, double s, Random& random) {
         disorder(f, s, random);
       })},
      {"clips that stand still", {0.0625, 0.125, 0.25, 0.5, 1}, changed([](Frames& f, double s, Random& random) {
         if (random.chance(s)) std::fill(f.begin() + 1, f.end(), f[0]);
       })},
      {"clips with a broken law",
       {0.0625, 0.125, 0.25, 0.5, 1},
       [](std::uint64_t seed, std::uint64_t index, double strength, Random& random) {
         return random.chance(strength) ? twin_of(seed, index) : clip_of(seed, index);
       }}};
}

}  // namespace

int main(int argc, char** argv) {
  std::string name = std::string("builtin:") + ORRERY_SOURCE_DIR + "/models/features-64";
  std::int64_t count = 150;
  std::uint64_t seed = 1;
  CLI::App app;
  app.add_option("--features", name), app.add_option("--count", count), app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  const auto features = make_features(name);
  const auto vectors_of = [&](const std::function<Frames(std::uint64_t)>& clip) {
    Vectors out(static_cast<std::size_t>(count));
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        out[static_cast<std::size_t>(i)] = features->extract(clip(static_cast<std::uint64_t>(i)))[0];
    });
    return out;
  };
  const std::uint64_t one = worlds::kHeldOutSeed + 2 * seed, other = one + 1;
  const Vectors real = vectors_of([&](std::uint64_t i) { return clip_of(one, i); });
  const auto distance = [&](const Vectors& set) { return set_distance(real, set); };
  std::printf("%s, %lld clips a set\n%-26s %8.3f\n", features->title().c_str(), static_cast<long long>(count),
              "other lawful clips", distance(vectors_of([&](std::uint64_t i) { return clip_of(other, i); })));
  for (const Deed& deed : deeds()) {
    std::printf("%-26s", deed.name);
    for (const double strength : deed.strengths) {
      const Vectors set = vectors_of([&](std::uint64_t i) {
        // The same draws at every strength: a stronger deed is done to the same clips and more.
        Random random = Random(other, 0x64656564).fork(i);
        return deed.make(other, i, strength, random);
      });
      std::printf("  %g: %.3f", strength, distance(set));
      std::fflush(stdout);
    }
    std::printf("\n");
  }
}
