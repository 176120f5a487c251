#include "apps/pipeline/feature_source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/base/random.h"
#include "video/frames/resize.h"

namespace orrery::pipeline {

namespace {

using Size = std::size_t;

constexpr Size kGrid = 4, kCells = kGrid * kGrid;
// Numbers: noise, blur, disorder; bodies, gravity, speed, largest speed, change of velocity, radius; then a cell's
// occupancy and velocity.
constexpr Size kSpoilt = 3, kOverall = 6, kValues = kSpoilt + kOverall + 3 * kCells;

// What spoils a window is asked for with more weight than each of the many numbers of its cells.
constexpr double kSpoiltScale = 3;

struct Window {
  std::vector<Frame> frames;
  std::int32_t scene = 0, broken = 0;
  std::array<float, kValues> values{};
  std::vector<float> marks;
};

float clipped(double value, double limit) { return static_cast<float>(std::clamp(value, -limit, limit)); }

std::int32_t break_class(std::string_view kind) {
  const auto kinds = worlds::corruption_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& row) { return row.name == kind; });
  return static_cast<std::int32_t>(1 + (found - kinds.begin()));
}

std::int32_t scene_class(std::string_view name) {
  const auto& all = worlds::scene_registry();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& row) { return row.name == name; });
  return static_cast<std::int32_t>(found - all.begin());
}

// Where bodies are and how they move, in heights of the picture and seconds.
void add_truth(const worlds::World& world, const std::vector<worlds::FrameTruth>& truths, Window& out) {
  const double height = world.scene().view_height(), frames = static_cast<double>(truths.size());
  const auto& infos = world.scene().bodies();
  float* overall = &out.values[kSpoilt];
  float* cells = overall + kOverall;
  double bodies = 0, speed = 0, fastest = 0, change = 0, radius = 0;
  for (Size t = 0; t < truths.size(); ++t) {
    for (Size b = 0; b < truths[t].bodies.size(); ++b) {
      const worlds::BodyState& body = truths[t].bodies[b];
      if (body.visible < 0.3 || b >= infos.size() || infos[b].shape == worlds::Shape::fluid) continue;
      const double vx = body.velocity.x / height, vy = body.velocity.y / height, v = std::hypot(vx, vy);
      bodies += 1 / frames, speed += v, fastest = std::max(fastest, v), radius += infos[b].radius / height * body.scale;
      if (t > 0 && b < truths[t - 1].bodies.size()) {
        const worlds::Vec2 before = truths[t - 1].bodies[b].velocity;
        change += std::hypot(body.velocity.x - before.x, body.velocity.y - before.y) / height;
      }
      const auto place = [&](double at) {
        return static_cast<Size>(std::clamp(at / height * static_cast<double>(kGrid), 0.0, kGrid - 0.5));
      };
      float* cell = cells + 3 * (place(height - body.position.y) * kGrid + place(body.position.x));
      cell[0] += static_cast<float>(4 / frames);
      cell[1] += clipped(4 * vx / frames, 1), cell[2] += clipped(4 * vy / frames, 1);
      const auto colours = worlds::named_colours();
      const std::string& name = body.colour.empty() ? infos[b].colour : body.colour;
      for (Size c = 0; c < colours.size(); ++c)
        if (colours[c].name == name) out.marks[c] = 1;
    }
  }
  const double seen = std::max(1.0, bodies * frames);
  overall[0] = clipped(bodies / 4, 2);
  overall[1] = clipped(world.scene().gravity().y / height / 5, 2);
  overall[2] = clipped(speed / seen, 2), overall[3] = clipped(fastest, 3);
  overall[4] = clipped(10 * change / seen, 3), overall[5] = clipped(10 * radius / seen, 3);
}

void add_noise(Window& window, Random& random) {
  const double sigma = random.uniform(0.01, 0.25);
  for (Frame& frame : window.frames)
    for (std::uint8_t& byte : frame.bytes())
      byte = static_cast<std::uint8_t>(std::clamp(byte + 255 * sigma * random.normal() + 0.5, 0.0, 255.0));
  window.values[0] = static_cast<float>(kSpoiltScale * 4 * sigma);
}

// Detail is lost as a codec loses it: through a smaller picture.
void blur(Window& window, Random& random) {
  const int side = window.frames[0].width(), small = static_cast<int>(random.uniform(0.15, 0.9) * side);
  for (Frame& frame : window.frames)
    frame = resize(resize(frame, small, small, Filter::area), side, side, Filter::bilinear);
  window.values[1] = static_cast<float>(kSpoiltScale * (1 - static_cast<double>(small) / side));
}

// Some frames change places.
void disorder(Window& window, Random& random) {
  const Size all = window.frames.size(), count = 2 + random.below(all - 1);
  std::vector<Size> order(all), chosen;
  std::iota(order.begin(), order.end(), Size{0});
  for (Size i = 0; i < count; ++i) std::swap(order[i], order[i + random.below(all - i)]);
  chosen.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  for (Size i = 0; i + 1 < count; ++i) std::swap(window.frames[chosen[i]], window.frames[chosen[i + 1]]);
  window.values[2] = static_cast<float>(kSpoiltScale * static_cast<double>(count) / static_cast<double>(all));
  window.broken = -1;
}

// Brightness and contrast, which nothing asks for.
void relight(Window& window, Random& random) {
  const double gain = random.uniform(0.85, 1.15), offset = random.uniform(-20, 20);
  for (Frame& frame : window.frames)
    for (std::uint8_t& byte : frame.bytes())
      byte = static_cast<std::uint8_t>(std::clamp((byte - 128) * gain + 128 + offset + 0.5, 0.0, 255.0));
}

Window draw_window(const FeatureSourceOptions& options, std::uint64_t clip) {
  worlds::SampleOptions sample;
  sample.width = sample.height = options.size;
  sample.fps = options.fps;
  sample.scenes = options.scenes;
  sample.split = options.split;
  worlds::WorldSpec spec = worlds::sample_spec(options.seed, clip, sample);
  Random random = Random(options.seed, 0x66656174).fork(clip);
  const auto start = static_cast<int>(random.below(static_cast<std::uint64_t>(options.longest)));
  Window out;
  out.scene = scene_class(spec.scene);
  out.marks.assign(worlds::named_colours().size(), 0.0f);
  if (random.chance(options.broken_share)) {
    const std::vector<std::string> kinds = worlds::corruptions_of(spec);
    if (!kinds.empty()) {
      const auto within = static_cast<std::uint64_t>(options.frames * 5 / 8);
      spec.corruption =
          worlds::CorruptionSpec{kinds[random.below(kinds.size())], start + 2 + static_cast<int>(random.below(within))};
      out.broken = break_class(spec.corruption->kind);
    }
  }
  worlds::World world(spec);
  for (int f = 0; f < start; ++f) world.step();
  std::vector<worlds::FrameTruth> truths;
  for (std::int64_t f = 0; f < options.frames; ++f) {
    if (f > 0) world.step();
    out.frames.push_back(world.draw());
    truths.push_back(world.truth());
  }
  add_truth(world, truths, out);
  if (random.chance(options.spoilt_share)) disorder(out, random);
  if (random.chance(options.spoilt_share)) relight(out, random);
  if (random.chance(options.spoilt_share)) blur(out, random);
  if (random.chance(options.spoilt_share)) add_noise(out, random);
  return out;
}

}  // namespace

EncoderTargets FeatureSource::targets() {
  EncoderTargets out;
  out.scenes = static_cast<std::int64_t>(worlds::scene_registry().size());
  out.breaks = 1 + static_cast<std::int64_t>(worlds::corruption_kinds().size());
  out.marks = static_cast<std::int64_t>(worlds::named_colours().size());
  out.values = static_cast<std::int64_t>(kValues);
  return out;
}

Batch FeatureSource::batch(std::uint64_t index) const {
  const EncoderTargets targets = FeatureSource::targets();
  const std::int64_t n = options_.windows, size = options_.size;
  const Tensor clips = Tensor::empty({n, options_.frames, size, size, 3}, DType::i8);
  const Tensor classes = Tensor::empty({n, 2}, DType::i32), marks = Tensor::empty({n, targets.marks}),
               values = Tensor::empty({n, targets.values});
  std::int8_t* pixel = clips.data<std::int8_t>();
  for (std::int64_t w = 0; w < n; ++w) {
    const Window window = draw_window(options_, index * static_cast<std::uint64_t>(n) + static_cast<std::uint64_t>(w));
    for (const Frame& frame : window.frames)
      pixel = std::transform(frame.bytes().begin(), frame.bytes().end(), pixel,
                             [](std::uint8_t byte) { return static_cast<std::int8_t>(byte - 128); });
    classes.data<std::int32_t>()[2 * w] = window.scene, classes.data<std::int32_t>()[2 * w + 1] = window.broken;
    std::copy(window.marks.begin(), window.marks.end(), marks.data<float>() + w * targets.marks);
    std::copy(window.values.begin(), window.values.end(), values.data<float>() + w * targets.values);
  }
  return {{clips, classes, marks, values}};
}

}  // namespace orrery::pipeline
