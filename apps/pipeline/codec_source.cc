#include "apps/pipeline/codec_source.h"

#include <algorithm>
#include <cmath>

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
  // Bytes and bf16: a device is a slow copy away. A byte's 128 stands for 0; weights are few and short numbers.
  const Shape shape{options_.windows, options_.latents, t, size, size, 3};
  const Tensor bytes = Tensor::empty(shape, DType::i8);
  std::transform(chunks.begin(), chunks.end(), bytes.data<std::int8_t>(),
                 [](float x) { return static_cast<std::int8_t>(std::lround((x + 1.0f) * 127.5f) - 128); });
  return {{bytes, Tensor::from(weights, shape).to(DType::bf16)}};
}

}  // namespace orrery::pipeline
