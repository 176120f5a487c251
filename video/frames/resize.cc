// Separable resampling: the weights of each output column and row are made once, rows first to floats, then columns.
#include "video/frames/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery {
namespace {

/// The inputs of one output along one axis: weights for source samples first, first + 1, …
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

double lanczos3(double x) {
  if (x == 0) return 1;
  if (std::fabs(x) >= 3) return 0;
  const double px = std::numbers::pi * x;
  return 3 * std::sin(px) * std::sin(px / 3) / (px * px);
}

double triangle(double x) { return std::max(0.0, 1 - std::fabs(x)); }

// Nearest in the middle of a pixel, linear over one output pixel's width at its borders.
Taps sharp_taps(double centre, double scale) {
  Taps taps;
  const double width = std::min(1.0, scale);  // An output pixel in source pixels.
  const double left = centre - width / 2, right = centre + width / 2;
  taps.first = static_cast<int>(std::floor(left));
  const double border = taps.first + 1;
  const double share = std::clamp((border - left) / (right - left), 0.0, 1.0);
  taps.weights = {static_cast<float>(share), static_cast<float>(1 - share)};
  return taps;
}

Taps area_taps(double from, double to) {
  Taps taps;
  taps.first = static_cast<int>(std::floor(from + 1e-9));
  const int last = static_cast<int>(std::ceil(to - 1e-9));
  for (int i = taps.first; i < last; ++i) {
    taps.weights.push_back(static_cast<float>((std::min<double>(i + 1, to) - std::max<double>(i, from)) / (to - from)));
  }
  return taps;
}

Taps make_taps(int out, double scale, Filter filter) {
  const double centre = (out + 0.5) * scale;
  if (filter == Filter::nearest) return {static_cast<int>(std::floor(centre)), {1.0f}};
  if (filter == Filter::area && scale > 1) return area_taps(out * scale, (out + 1) * scale);
  if (filter == Filter::sharp && scale <= 1) return sharp_taps(centre, scale);
  const bool lanczos = filter == Filter::lanczos || filter == Filter::sharp;
  const double stretch = std::max(1.0, scale), reach = (lanczos ? 3 : 1) * stretch;
  Taps taps;
  taps.first = static_cast<int>(std::floor(centre - reach - 0.5)) + 1;
  std::vector<double> weights;
  double sum = 0;
  for (int i = taps.first; i + 0.5 < centre + reach; ++i) {
    const double x = (i + 0.5 - centre) / stretch;
    weights.push_back(lanczos ? lanczos3(x) : triangle(x));
    sum += weights.back();
  }
  for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  return taps;
}

// Taps beyond the edge fall on the edge's sample.
std::vector<Taps> axis_taps(int in, int out, Filter filter) {
  std::vector<Taps> all;
  const double scale = static_cast<double>(in) / out;
  for (int i = 0; i < out; ++i) {
    const Taps open = make_taps(i, scale, filter);
    Taps taps;
    const int count = static_cast<int>(open.weights.size());
    taps.first = std::clamp(open.first, 0, in - 1);
    const int last = std::clamp(open.first + count - 1, 0, in - 1);
    taps.weights.assign(static_cast<std::size_t>(last - taps.first + 1), 0.0f);
    for (int k = 0; k < count; ++k) {
      const int at = std::clamp(open.first + k, 0, in - 1);
      taps.weights[static_cast<std::size_t>(at - taps.first)] += open.weights[static_cast<std::size_t>(k)];
    }
    all.push_back(std::move(taps));
  }
  return all;
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

}  // namespace

Frame resize(const Frame& frame, int width, int height, Filter filter) {
  ORRERY_CHECK(!frame.empty() && width >= 1 && height >= 1, "[resize] ", frame.width(), "x", frame.height(), " to ",
               width, "x", height, ", expected at least 1x1");
  if (width == frame.width() && height == frame.height()) return frame;
  const std::vector<Taps> columns = axis_taps(frame.width(), width, filter);
  const std::vector<Taps> rows = axis_taps(frame.height(), height, filter);
  const std::size_t stride = static_cast<std::size_t>(width) * 3;
  std::vector<float> wide(stride * static_cast<std::size_t>(frame.height()));
  parallel_for(frame.height(), 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t y = begin; y < end; ++y) {
      float* to = &wide[stride * static_cast<std::size_t>(y)];
      for (const Taps& taps : columns) {
        const std::uint8_t* from = frame.at(taps.first, static_cast<int>(y));
        float red = 0, green = 0, blue = 0;
        for (const float weight : taps.weights) {
          red += weight * from[0], green += weight * from[1], blue += weight * from[2];
          from += 3;
        }
        to[0] = red, to[1] = green, to[2] = blue;
        to += 3;
      }
    }
  });
  Frame out(width, height);
  parallel_for(height, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(stride);
    for (std::int64_t y = begin; y < end; ++y) {
      const Taps& taps = rows[static_cast<std::size_t>(y)];
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (std::size_t k = 0; k < taps.weights.size(); ++k) {
        const float* from = &wide[stride * (static_cast<std::size_t>(taps.first) + k)];
        for (std::size_t i = 0; i < stride; ++i) sum[i] += taps.weights[k] * from[i];
      }
      std::uint8_t* to = out.row(static_cast<int>(y));
      for (std::size_t i = 0; i < stride; ++i) to[i] = to_byte(sum[i]);
    }
  });
  return out;
}

void fit_size(int frame_width, int frame_height, int& width, int& height) {
  const double scale = std::min(static_cast<double>(width) / frame_width, static_cast<double>(height) / frame_height);
  width = std::clamp(static_cast<int>(std::lround(frame_width * scale)), 1, width);
  height = std::clamp(static_cast<int>(std::lround(frame_height * scale)), 1, height);
}

}  // namespace orrery
