#include "physics_eval/fvd/prepare.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery {

namespace {

using Size = std::size_t;

// What a pixel of the result is made of: `weights` of the pixels from `first` on.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};
using Axis = std::vector<Taps>;

// In 32 bits, as PyTorch and TensorFlow place their pixels.
Taps two_taps(float at, int in) {
  at = std::max(at, 0.0f);
  const int low = std::min(static_cast<int>(at), in - 1);
  const float high = std::min(at - static_cast<float>(low), 1.0f);
  if (low == in - 1) return {low, {1.0f}};
  return {low, {1.0f - high, high}};
}

// A triangle as wide as the pixels of the result when it is smaller than the picture.
Taps triangle_taps(int i, int in, int out) {
  const double scale = static_cast<double>(in) / out, reach = std::max(1.0, scale), centre = (i + 0.5) * scale;
  const int first = std::max(0, static_cast<int>(centre - reach + 0.5)),
            last = std::min(in, static_cast<int>(centre + reach + 0.5));
  Taps taps{first, {}};
  double sum = 0;
  std::vector<double> weights;
  for (int k = first; k < last; ++k) {
    weights.push_back(std::max(0.0, 1 - std::abs((k - centre + 0.5) / reach)));
    sum += weights.back();
  }
  for (const double w : weights) taps.weights.push_back(static_cast<float>(w / sum));
  return taps;
}

enum class Sampling { half_pixel, corner, triangle };

// `out` pixels of `in`, of which `side` from `skip` on are wanted.
Axis make_axis(int in, int out, int skip, int side, Sampling sampling) {
  Axis axis;
  for (int i = skip; i < skip + side; ++i) {
    const float scale = static_cast<float>(in) / static_cast<float>(out), at = static_cast<float>(i);
    if (sampling == Sampling::triangle) {
      axis.push_back(triangle_taps(i, in, out));
    } else {
      axis.push_back(two_taps(sampling == Sampling::corner ? at * scale : (at + 0.5f) * scale - 0.5f, in));
    }
  }
  return axis;
}

struct Axes {
  Axis columns, rows;
};

Axes cropped_axes(int width, int height, int side, Sampling sampling) {
  const int shorter = std::min(width, height);
  const auto scaled = [&](int size) {
    return size == shorter ? side : static_cast<int>(std::ceil(size * (static_cast<double>(side) / shorter)));
  };
  const int w = scaled(width), h = scaled(height);
  return {make_axis(width, w, (w - side) / 2, side, sampling), make_axis(height, h, (h - side) / 2, side, sampling)};
}

// `out`: [side, side, 3] of values 0 to 255.
void resample(const Frame& frame, const Axes& axes, float* out) {
  const Size side = axes.columns.size(), line = 3 * side;
  const int top = axes.rows.front().first,
            bottom = axes.rows.back().first + static_cast<int>(axes.rows.back().weights.size());
  std::vector<float> narrow(static_cast<Size>(bottom - top) * line, 0.0f);
  for (int y = top; y < bottom; ++y) {
    float* to = &narrow[static_cast<Size>(y - top) * line];
    for (const Taps& taps : axes.columns) {
      const std::uint8_t* from = frame.at(taps.first, y);
      for (Size k = 0; k < taps.weights.size(); ++k) {
        for (Size c = 0; c < 3; ++c) to[c] += taps.weights[k] * static_cast<float>(from[3 * k + c]);
      }
      to += 3;
    }
  }
  for (const Taps& taps : axes.rows) {
    std::fill_n(out, line, 0.0f);
    for (Size k = 0; k < taps.weights.size(); ++k) {
      const float* from = &narrow[(static_cast<Size>(taps.first - top) + k) * line];
      for (Size i = 0; i < line; ++i) out[i] += taps.weights[k] * from[i];
    }
    out += line;
  }
}

constexpr int kCdFvdSide = 256;  // its load_videos()

// The first of cd-fvd's steps. Its loader divides by 255, multiplies again and cuts to whole bytes.
Frame cropped_bytes(const Frame& frame) {
  const Axes axes = cropped_axes(frame.width(), frame.height(), kCdFvdSide, Sampling::triangle);
  std::vector<float> values(static_cast<Size>(kCdFvdSide) * kCdFvdSide * 3);
  resample(frame, axes, values.data());
  Frame out(kCdFvdSide, kCdFvdSide);
  for (Size i = 0; i < values.size(); ++i)
    out.bytes()[i] = static_cast<std::uint8_t>(std::clamp(values[i] / 255.0f * 255.0f, 0.0f, 255.0f));
  return out;
}

}  // namespace

Tensor square_clip(std::span<const Frame> frames, int side, Squaring squaring) {
  ORRERY_CHECK(!frames.empty() && !frames[0].empty(), "[fvd] a clip without pictures");
  const int width = frames[0].width(), height = frames[0].height();
  for (const Frame& frame : frames) {
    ORRERY_CHECK(frame.width() == width && frame.height() == height, "[fvd] a frame is ", frame.width(), "x",
                 frame.height(), ", the first is ", width, "x", height);
  }
  const bool twice = squaring == Squaring::crop_then_squash;
  const int in_width = twice ? kCdFvdSide : width, in_height = twice ? kCdFvdSide : height;
  const Sampling sampling = squaring == Squaring::squash_corner ? Sampling::corner : Sampling::half_pixel;
  const Axes axes = squaring == Squaring::crop ? cropped_axes(width, height, side, sampling)
                                               : Axes{make_axis(in_width, side, 0, side, sampling),
                                                      make_axis(in_height, side, 0, side, sampling)};
  const Tensor clip = Tensor::empty({static_cast<std::int64_t>(frames.size()), side, side, 3});
  const std::int64_t each = std::int64_t{3} * side * side;
  parallel_for(static_cast<std::int64_t>(frames.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* out = clip.data<float>() + t * each;
      const Frame& frame = frames[static_cast<Size>(t)];
      resample(twice ? cropped_bytes(frame) : frame, axes, out);
      for (std::int64_t i = 0; i < each; ++i) out[i] = out[i] / 127.5f - 1.0f;
    }
  });
  return clip;
}

}  // namespace orrery
