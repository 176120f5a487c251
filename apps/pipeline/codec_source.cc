#include "apps/pipeline/codec_source.h"

#include "core/base/random.h"

namespace orrery::pipeline {

namespace {

// Frames of one clip from a drawn moment on. The physics before it runs undrawn, which costs little.
std::vector<Frame> draw_window(const CodecSourceOptions& options, std::uint64_t clip, std::int64_t frames) {
  worlds::SampleOptions sample;
  sample.width = sample.height = options.size;
  sample.fps = options.fps;
  sample.scenes = options.scenes;
  sample.split = options.split;
  sample.smooth_backgrounds = options.smooth_backgrounds;
  worlds::World world(worlds::sample_spec(options.seed, clip, sample));
  Random random = Random(options.seed, 0x77696E64).fork(clip);
  const auto start = static_cast<int>(random.below(static_cast<std::uint64_t>(options.longest)));
  for (int f = 0; f < start; ++f) world.step();
  if (random.chance(options.action_share)) {
    worlds::Action action;
    action.push = static_cast<worlds::Push>(1 + random.below(4));
    action.u = random.uniform();
    action.v = random.uniform();
    world.push(action);
  }
  std::vector<Frame> window;
  for (std::int64_t f = 0; f < frames; ++f) {
    if (f > 0) world.step();
    window.push_back(world.draw());
  }
  return window;
}

}  // namespace

Batch CodecSource::batch(std::uint64_t index) const {
  const std::int64_t t = options_.window.time_factor, size = options_.size;
  std::vector<float> chunks, weights;
  chunks.reserve(static_cast<std::size_t>(options_.windows * options_.latents * t * size * size * 3));
  for (std::int64_t w = 0; w < options_.windows; ++w) {
    const std::uint64_t clip = index * static_cast<std::uint64_t>(options_.windows) + static_cast<std::uint64_t>(w);
    options_.window.append(draw_window(options_, clip, 1 + (options_.latents - 1) * t), chunks, weights);
  }
  return {{Tensor::from(chunks, {options_.windows, options_.latents, t, size, size, 3}),
           Tensor::from(weights, {options_.windows, options_.latents, t, size, size, 3})}};
}

}  // namespace orrery::pipeline
