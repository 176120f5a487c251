// The shipped model does what its card says of it, on a few sentences that anybody would try first. Figures over many
// sentences: orrery bench prompts.
#include <filesystem>

#include "apps/pipeline/describe.h"
#include "apps/pipeline/generate.h"
#include "apps/pipeline/prompt_check.h"
#include "physics_eval/worlds/world.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

const LoadedModel& shipped() {
  static const LoadedModel model(std::string(ORRERY_SOURCE_DIR) + "/models/orrery-64");
  return model;
}

std::vector<Frame> clip_of(const std::string& prompt, std::uint64_t seed, double seconds) {
  ClipSpec spec;
  spec.prompt = prompt, spec.seed = seed, spec.seconds = seconds;
  std::vector<Frame> frames;
  for_each_frame(shipped(), spec, {}, [&](const Frame& frame) { frames.push_back(frame); });
  return frames;
}

}  // namespace

TEST_CASE("the shipped model with its codec is at most 40 MB", "[shipped]") {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shipped().folder())) bytes += entry.file_size();
  CHECK(bytes <= 40'000'000);
  CHECK(shipped().fps() == 24);
  CHECK(shipped().width() >= 64);
}

TEST_CASE("the shipped model draws a body of the colour asked for", "[shipped]") {
  int right = 0;
  const std::vector<std::pair<std::string, std::string>> prompts{{"a red ball bounces on the floor", "red"},
                                                                 {"a green ball is thrown to the right", "green"},
                                                                 {"a blue ball rolls to the left", "blue"},
                                                                 {"a yellow ball bounces", "yellow"}};
  for (const auto& [prompt, colour] : prompts) {
    const Tracks tracks = track(clip_of(prompt, 42, 1.5), 24);
    for (const Track& body : tracks.tracks)
      if (body.colour_word == colour) {
        ++right;
        break;
      }
  }
  CHECK(right >= 3);
}
