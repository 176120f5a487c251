#include "physics_eval/fvd/i3d.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/io/load_tensor.h"
#include "core/io/torch_file.h"
#include "core/ops/conv.h"
#include "core/ops/elementwise.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

using Size = std::size_t;

// Units in the order of the architecture: three of the stem, six in each of nine Inception modules (1×1; 1×1, 3×3;
// 1×1, 3×3; pooled 1×1), the answers.
constexpr int kStem = 3, kModules = 9, kModule = 6, kUnits = kStem + kModules * kModule + 1;
constexpr float kNormEpsilon = 1e-3f;  // all published ports keep TensorFlow's

int kernel_of(int unit) {
  if (unit == 0) return 7;
  if (unit < kStem) return unit == 2 ? 3 : 1;
  if (unit == kUnits - 1) return 1;
  const int place = (unit - kStem) % kModule;
  return place == 2 || place == 4 ? 3 : 1;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string parent_of(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

// The vectors that belong to a convolution.
struct Vectors {
  const SafetensorsEntry *scale = nullptr, *shift = nullptr, *mean = nullptr, *variance = nullptr;
};

bool ends_in(const std::string& name, std::initializer_list<const char*> ends) {
  const std::string last = lowered(name.substr(name.rfind('.') + 1));
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return last == end; });
}

// What stands beside the weight or, where that is nothing, beside the folder it lies in.
Vectors vectors_of(std::span<const SafetensorsEntry> weights, const SafetensorsEntry& weight) {
  Vectors out;
  std::string folder = parent_of(weight.name);
  for (int level = 0; level < 2 && !out.shift && !folder.empty(); ++level, folder = parent_of(folder)) {
    for (const SafetensorsEntry& entry : weights) {
      if (entry.shape.size() != 1 || entry.name.rfind(folder + ".", 0) != 0) continue;
      if (ends_in(entry.name, {"running_mean", "moving_mean", "mean"})) out.mean = &entry;
      if (ends_in(entry.name, {"running_var", "moving_variance", "moving_var", "variance", "var"}))
        out.variance = &entry;
      if (ends_in(entry.name, {"weight", "gamma", "scale"})) out.scale = &entry;
      if (ends_in(entry.name, {"bias", "beta", "shift"})) out.shift = &entry;
    }
  }
  return out;
}

// The convolutions in the architecture's order. Known names sort into it but for the answers, which have a bias and
// nothing normalised; other files are taken to be in order.
std::vector<const SafetensorsEntry*> convolutions(std::span<const SafetensorsEntry> weights) {
  std::vector<const SafetensorsEntry*> out;
  bool named = false;
  for (const SafetensorsEntry& entry : weights) {
    if (entry.shape.size() != 5) continue;
    out.push_back(&entry);
    named |= lowered(entry.name).find("mixed_3b") != std::string::npos;
  }
  if (named)
    std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return lowered(a->name) < lowered(b->name); });
  std::stable_partition(out.begin(), out.end(),
                        [&](const auto* entry) { return vectors_of(weights, *entry).mean != nullptr; });
  return out;
}

std::vector<float> vector_or(const SafetensorsEntry* entry, std::int64_t size, float otherwise,
                             const std::string& source) {
  if (!entry) return std::vector<float>(static_cast<Size>(size), otherwise);
  ORRERY_CHECK(entry->shape[0] == size, source, ": ", entry->name, " is ", entry->describe(), ", expected [", size,
               "]");
  return load_tensor(*entry, DType::f32).to_vector();
}

// Inputs of a unit, given the channels of the units before it.
std::int64_t inputs_of(int unit, const std::vector<std::int64_t>& outs) {
  if (unit == 0) return 3;
  if (unit < kStem) return outs[static_cast<Size>(unit - 1)];
  const int place = (unit - kStem) % kModule;
  if (unit < kUnits - 1 && (place == 2 || place == 4)) return outs[static_cast<Size>(unit - 1)];
  const int module = (unit - kStem) / kModule, before = kStem + (module - 1) * kModule;
  if (module == 0) return outs[kStem - 1];
  const auto at = [&](int i) { return outs[static_cast<Size>(before + i)]; };
  return at(0) + at(2) + at(4) + at(5);
}

// "Same" padding as TensorFlow has it: what is missing to cover the size, the odd pixel behind.
int pad_before(std::int64_t size, int kernel, int stride) {
  const std::int64_t left = size % stride == 0 ? stride : size % stride;
  return static_cast<int>(std::max<std::int64_t>(0, kernel - left) / 2);
}

std::int64_t pooled(std::int64_t size, int stride) { return (size + stride - 1) / stride; }

struct Window {
  std::array<int, 3> kernel, stride;
};

// The published ports pad with zeros; after a rectifier no value is below those, so what lies outside is left out.
Tensor max_pool(const Tensor& x, const Window& window) {
  std::array<std::int64_t, 3> in{}, out{}, before{};
  for (Size d = 0; d < 3; ++d) {
    in[d] = x.dim(static_cast<int>(d) + 1), out[d] = pooled(in[d], window.stride[d]);
    before[d] = pad_before(in[d], window.kernel[d], window.stride[d]);
  }
  const std::int64_t channels = x.dim(4);
  const Tensor y = Tensor::empty({x.dim(0), out[0], out[1], out[2], channels});
  const float* from = x.data<float>();
  parallel_for(out[0] * out[1], 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      float* to = y.data<float>() + line * out[2] * channels;
      const auto range = [&](Size d, std::int64_t at) {
        const std::int64_t first = at * window.stride[d] - before[d];
        return std::array<std::int64_t, 2>{std::max<std::int64_t>(0, first), std::min(in[d], first + window.kernel[d])};
      };
      const auto times = range(0, line / out[1]), rows = range(1, line % out[1]);
      for (std::int64_t column = 0; column < out[2]; ++column, to += channels) {
        const auto columns = range(2, column);
        std::fill_n(to, channels, -std::numeric_limits<float>::infinity());
        for (std::int64_t t = times[0]; t < times[1]; ++t) {
          for (std::int64_t r = rows[0]; r < rows[1]; ++r) {
            for (std::int64_t c = columns[0]; c < columns[1]; ++c) {
              const float* pixel = from + ((t * in[1] + r) * in[2] + c) * channels;
              for (std::int64_t i = 0; i < channels; ++i) to[i] = std::max(to[i], pixel[i]);
            }
          }
        }
      }
    }
  });
  return y;
}

constexpr Window kSpatial{{1, 3, 3}, {1, 2, 2}}, kHalving{{3, 3, 3}, {2, 2, 2}}, kSmall{{2, 2, 2}, {2, 2, 2}},
    kAround{{3, 3, 3}, {1, 1, 1}};

}  // namespace

I3d::I3d(std::span<const SafetensorsEntry> weights, const std::string& source) {
  const std::vector<const SafetensorsEntry*> found = convolutions(weights);
  ORRERY_CHECK(found.size() == kUnits, source, ": ", found.size(), " convolutions of three dimensions, I3D has ",
               kUnits);
  std::vector<std::int64_t> outs;
  for (int unit = 0; unit < kUnits; ++unit) {
    const SafetensorsEntry& entry = *found[static_cast<Size>(unit)];
    const std::int64_t inputs = inputs_of(unit, outs), kernel = kernel_of(unit);
    ORRERY_CHECK(entry.shape[0] > 0 && entry.shape[1] == inputs && entry.shape[2] == kernel &&
                     entry.shape[3] == kernel && entry.shape[4] == kernel,
                 source, ": ", entry.name, " is ", entry.describe(), ", I3D's convolution ", unit + 1, " of ", kUnits,
                 " is [out, ", inputs, ", ", kernel, ", ", kernel, ", ", kernel, "]");
    const std::int64_t out = entry.shape[0];
    outs.push_back(out);
    const Vectors vectors = vectors_of(weights, entry);
    const bool last = unit == kUnits - 1;
    ORRERY_CHECK(last ? vectors.shift != nullptr : vectors.mean && vectors.variance && vectors.shift, source, ": ",
                 entry.name, last ? " has no bias" : " has no batch normalisation (mean, variance, bias) beside it");
    std::vector<float> scale = vector_or(last ? nullptr : vectors.scale, out, 1, source),
                       shift = vector_or(vectors.shift, out, 0, source);
    const std::vector<float> mean = vector_or(last ? nullptr : vectors.mean, out, 0, source),
                             variance = vector_or(last ? nullptr : vectors.variance, out, 1 - kNormEpsilon, source);
    for (Size i = 0; i < scale.size(); ++i) {
      ORRERY_CHECK(variance[i] > -kNormEpsilon, source, ": a variance beside ", entry.name, " is ", variance[i]);
      scale[i] /= std::sqrt(variance[i] + kNormEpsilon);
      shift[i] -= mean[i] * scale[i];
    }
    // [out, in, kt, kr, kc] → channels last, scaled.
    const Tensor raw = load_tensor(entry, DType::f32);
    const Tensor weight = Tensor::empty({out, kernel, kernel, kernel, inputs});
    const std::int64_t taps = kernel * kernel * kernel;
    const float* from = raw.data<float>();
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        for (std::int64_t k = 0; k < taps; ++k)
          weight.data<float>()[(o * taps + k) * inputs + i] = scale[static_cast<Size>(o)] * *from++;
      }
    }
    units_.push_back({weight, Tensor::from(shift, {out})});
  }
  outputs_ = static_cast<int>(outs.back()), first_width_ = static_cast<int>(outs[0]);
  last_width_ = static_cast<int>(inputs_of(kUnits - 1, outs));
}

I3d I3d::open(const std::filesystem::path& path) {
  if (path.extension() == ".safetensors") {
    const Safetensors file = Safetensors::open(path);
    return I3d(file.entries(), path.string());
  }
  const TorchFile file = TorchFile::open(path);
  return I3d(file.entries(), path.string());
}

Tensor I3d::mixed(const Tensor& x, Size first_unit) const {
  const auto unit = [&](const Tensor& input, Size place) {
    const Unit& u = units_[first_unit + place];
    return ops::relu(ops::conv3d(input, u.weight, u.bias, {{1}, {u.weight.dim(1) / 2}, {1}}));
  };
  return ops::concat({unit(x, 0), unit(unit(x, 1), 2), unit(unit(x, 3), 4), unit(max_pool(x, kAround), 5)}, 4);
}

std::vector<double> I3d::logits(const Tensor& clip) const {
  ORRERY_CHECK(clip.rank() == 4 && clip.dim(1) == kSide && clip.dim(2) == kSide && clip.dim(3) == 3, "[i3d] a clip is ",
               to_string(clip.shape()), ", expected [frames, 224, 224, 3]");
  ORRERY_CHECK(clip.dim(0) >= kLeastFrames, "[i3d] ", clip.dim(0), " frames, I3D needs at least ", kLeastFrames);
  Tensor x = clip.reshaped({1, clip.dim(0), kSide, kSide, 3});
  for (int d = 1; d <= 3; ++d) {
    const std::int64_t size = x.dim(d), missing = std::max<std::int64_t>(0, (pooled(size, 2) - 1) * 2 + 7 - size);
    x = ops::pad(x, d, missing / 2, missing - missing / 2);
  }
  const auto stem = [&](const Tensor& input, Size unit, std::int64_t stride, std::int64_t padding) {
    return ops::relu(ops::conv3d(input, units_[unit].weight, units_[unit].bias, {{stride}, {padding}, {1}}));
  };
  x = max_pool(stem(x, 0, 2, 0), kSpatial);
  x = max_pool(stem(stem(x, 1, 1, 0), 2, 1, 1), kSpatial);
  for (Size module = 0; module < kModules; ++module) {
    if (module == 2) x = max_pool(x, kHalving);
    if (module == 7) x = max_pool(x, kSmall);
    x = mixed(x, kStem + module * kModule);
  }
  // Means over 7×7 pixels and two steps, then over what is left of time: the answers are linear in them, so the means
  // come first. A step counts as often as a pair holds it.
  const std::int64_t times = x.dim(1), pixels = x.dim(2) * x.dim(3), channels = x.dim(4);
  std::vector<double> mean(static_cast<Size>(channels), 0);
  for (std::int64_t t = 0; t < times; ++t) {
    const double weight = (t == 0 || t == times - 1 ? 0.5 : 1.0) / static_cast<double>((times - 1) * pixels);
    const float* from = x.data<float>() + t * pixels * channels;
    for (std::int64_t p = 0; p < pixels; ++p) {
      for (std::int64_t c = 0; c < channels; ++c)
        mean[static_cast<Size>(c)] += weight * static_cast<double>(from[p * channels + c]);
    }
  }
  std::vector<double> out;
  const float* weight = units_.back().weight.data<float>();
  for (const float bias : units_.back().bias.to_vector()) {
    double sum = static_cast<double>(bias);
    for (const double m : mean) sum += m * static_cast<double>(*weight++);
    out.push_back(sum);
  }
  return out;
}

}  // namespace orrery
