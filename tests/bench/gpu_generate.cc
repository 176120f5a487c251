// Generation on a device, for scripts/measures/gpu_generate, as CSV: what, by, figure, unit.
//   gpu_generate tokens MODEL DEVICE LATENTS
// draws so many latent frames from each of 20 prompts in f32 on the CPU and on the device: how many are equal code by
// code, and how far apart the two say the logits of the CPU's codes are, of the largest one.
//   gpu_generate clips MODEL DEVICE f32|bf16|i8 CLIPS SECONDS
// times clips drawn side by side, codes alone, then with their frames, which another thread decodes meanwhile; best of
// three. Loading is left out, and the first frames are drawn once before.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "apps/pipeline/loaded_model.h"
#include "apps/pipeline/rollout.h"
#include "apps/pipeline/worker.h"
#include "core/tensor/device.h"

namespace orrery::pipeline {
namespace {

const char* const kPrompts[] = {"a red ball bounces on the floor",
                                "a blue ball rolls to the right",
                                "two balls collide",
                                "a green box falls",
                                "a yellow ball is thrown to the left",
                                "three balls fall",
                                "a red box slides down a ramp",
                                "a ball swings on a pendulum",
                                "a stack of boxes falls over",
                                "a white ball rolls down a ramp",
                                "water pours into a box",
                                "a ball floats on the water",
                                "dominoes fall one after the other",
                                "a small red ball and a large blue ball",
                                "a purple ball bounces twice",
                                "an orange ball falls on a seesaw",
                                "a double pendulum swings",
                                "a ball hangs on a spring",
                                "two boxes slide to the left",
                                "a green ball orbits a red ball"};

using Codes = std::vector<std::vector<std::int32_t>>;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void print(const std::string& what, const std::string& by, double figure, const char* unit) {
  std::printf("%s,%s,%.6g,%s\n", what.c_str(), by.c_str(), figure, unit);
  std::fflush(stdout);
}

std::vector<Rollout> worlds_of(const LoadedModel& model, std::int64_t count) {
  std::vector<Rollout> worlds;
  for (std::int64_t i = 0; i < count; ++i) {
    RolloutOptions options;
    options.prompt = kPrompts[static_cast<std::size_t>(i) % std::size(kPrompts)];
    options.seed = 42 + static_cast<std::uint64_t>(i);
    options.sampling = {0.7, 0, 1.0, 0.05};  // as orrery generate does
    worlds.emplace_back(model, options);
  }
  return worlds;
}

// The codes of each world's next latent frame, handed to `use`.
template <class Use>
void draw(std::vector<Rollout>& worlds, std::int64_t latents, const Use& use) {
  std::vector<Rollout*> each;
  for (Rollout& world : worlds) each.push_back(&world);
  const std::vector<Action> actions(worlds.size());
  for (std::int64_t l = 0; l < latents; ++l) use(Rollout::next_each(each, actions));
}

// All codes of each prompt, one behind the other.
Codes all_codes(const LoadedModel& model, std::int64_t latents) {
  std::vector<Rollout> worlds = worlds_of(model, std::ssize(kPrompts));
  Codes all(worlds.size());
  draw(worlds, latents, [&](const Codes& codes) {
    for (std::size_t i = 0; i < codes.size(); ++i) all[i].insert(all[i].end(), codes[i].begin(), codes[i].end());
  });
  return all;
}

// The rows after each token of a prompt and its latent frames.
std::vector<float> rows_of(const LoadedModel& model, const char* prompt, std::span<const std::int32_t> codes) {
  const SequenceLayout& layout = model.layout();
  std::vector<std::int32_t> ids = layout.prompt(model.encode_prompt(prompt));
  for (std::size_t at = 0; at < codes.size(); at += static_cast<std::size_t>(layout.cells())) {
    const auto group = layout.group_tokens({}, codes.subspan(at, static_cast<std::size_t>(layout.cells())));
    ids.insert(ids.end(), group.begin(), group.end());
  }
  DecodeState state = model.decoder().start();
  return model.decoder().append_all(state, ids);
}

int compare_tokens(const std::string& folder, Device device, std::int64_t latents) {
  const LoadedModel here(folder, {Device::cpu, DType::f32}), there(folder, {device, DType::f32});
  const Codes expected = all_codes(here, latents), found = all_codes(there, latents);
  std::int64_t equal = 0;
  double apart = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto differs = std::mismatch(expected[i].begin(), expected[i].end(), found[i].begin());
    equal += differs.first == expected[i].end() ? 1 : 0;
    if (differs.first != expected[i].end())
      std::fprintf(stderr, "%s: from code %td of %zu on\n", kPrompts[i], differs.first - expected[i].begin(),
                   expected[i].size());
    const std::vector<float> a = rows_of(here, kPrompts[i], expected[i]), b = rows_of(there, kPrompts[i], expected[i]);
    double worst = 0, most = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
      worst = std::max(worst, std::abs(double{a[k]} - double{b[k]}));
      most = std::max(most, std::abs(double{a[k]}));
    }
    apart = std::max(apart, std::isfinite(worst) ? worst / most : INFINITY);
  }
  const std::string by = here.name() + " f32";
  print("prompts of 20 with the CPU's tokens; latent frames " + std::to_string(latents), by, static_cast<double>(equal),
        "prompts");
  print("logits apart; of the largest", by, apart, "");
  return equal == std::ssize(kPrompts) ? 0 : 1;
}

int time_clips(const std::string& folder, const ModelOptions& options, std::int64_t clips, double seconds) {
  const LoadedModel model(folder, options);
  const std::int64_t latents = latent_frames(model.codec().config(), std::llround(seconds * model.fps()));
  const std::string by = model.name() + " " + name_of(options.weights),
                    what = std::to_string(clips) + " clips of " + std::to_string(std::lround(seconds)) + " s";
  const auto sizes = model.layout().vocabulary().sizes();
  double codes_alone = INFINITY, with_frames = INFINITY;
  std::int64_t tokens = 0, frames = 0;
  {
    std::vector<Rollout> warm = worlds_of(model, clips);
    draw(warm, 2, [](const Codes&) {});
  }
  for (int round = 0; round < 3; ++round) {
    double begin = now();
    std::vector<Rollout> worlds = worlds_of(model, clips);
    draw(worlds, latents, [](const Codes&) {});
    codes_alone = std::min(codes_alone, now() - begin);
    tokens = 0;
    for (const Rollout& world : worlds) tokens += world.tokens();
    begin = now();
    frames = 0;
    worlds = worlds_of(model, clips);
    std::vector<StreamingDecoder> decoders(static_cast<std::size_t>(clips), {model.codec(), sizes.rows, sizes.columns});
    std::vector<StreamingDecoder*> each;
    for (StreamingDecoder& decoder : decoders) each.push_back(&decoder);
    Worker<Codes> worker(8, [&](const Codes& codes) {
      for (const std::vector<Frame>& some : StreamingDecoder::push_each(each, codes)) frames += std::ssize(some);
    });
    draw(worlds, latents, [&](const Codes& codes) { worker.push(codes); });
    worker.finish();
    with_frames = std::min(with_frames, now() - begin);
  }
  print(what + ": codes", by, codes_alone, "s");
  print(what + ": codes and frames", by, with_frames, "s");
  print(what + ": of real time", by, static_cast<double>(clips) * seconds / with_frames, "times");
  print(what + ": tokens", by, static_cast<double>(tokens) / codes_alone, "tokens a second");
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  const auto number = [&](std::size_t at) { return std::atoll(arguments[at].c_str()); };
  if (arguments.size() == 5 && arguments[1] == "tokens")
    return compare_tokens(arguments[2], device_from_name(arguments[3]), number(4));
  if (arguments.size() == 7 && arguments[1] == "clips") {
    const DType weights = arguments[4] == "f32" ? DType::f32 : arguments[4] == "i8" ? DType::i8 : DType::bf16;
    return time_clips(arguments[2], {device_from_name(arguments[3]), weights}, number(5),
                      std::atof(arguments[6].c_str()));
  }
  std::fprintf(stderr, "gpu_generate: see its first lines for what it takes\n");
  return 2;
}

}  // namespace
}  // namespace orrery::pipeline

int main(int argc, char** argv) {
  try {
    return orrery::pipeline::run({argv, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_generate: %s\n", error.what());
    return 1;
  }
}
