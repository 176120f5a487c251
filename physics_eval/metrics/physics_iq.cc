#include "physics_eval/metrics/physics_iq.h"

#include <algorithm>
#include <cmath>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"
#include "physics_eval/metrics/bit_mask.h"
#include "physics_eval/metrics/mask_lines.h"
#include "physics_eval/metrics/motion_mask.h"

namespace orrery {

namespace {

using Size = std::size_t;

struct Overlap {
  std::int64_t both = 0, either = 0;
  /// Both empty: 1.
  double iou() const { return either ? static_cast<double>(both) / static_cast<double>(either) : 1.0; }
};

Overlap overlap_of(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  Overlap out;
  for (Size i = 0; i < a.size(); ++i) out.both += a[i] & b[i], out.either += a[i] | b[i];
  return out;
}

}  // namespace

std::vector<MotionMask> motion_masks(std::span<const Frame> frames) {
  std::vector<MotionMask> out;
  MotionMaskMaker maker;
  for (const Frame& frame : frames) {
    maker.start(frame.width(), frame.height());
    LineSplitter splitter(frame.width());
    for (int y = 0; y < frame.height(); ++y) maker.add(splitter.split(frame.row(y)));
    const BitMask& mask = maker.finish();
    out.push_back({frame.width(), frame.height(), std::vector<std::uint8_t>(frame.bytes().size() / 3)});
    unpack(mask, 255, out.back().pixels.data());
  }
  return out;
}

struct PhysicsIqRecorder::State {
  MotionMaskMaker maker;
  PhysicsIqClip clip;
  int width = 0, height = 0, line = 0;  // of the frame that is being added
  bool exactly_four = false;            // times the result's size
  std::vector<std::uint16_t> upper, lower;
  std::vector<std::uint8_t> quarters;
  Frame whole;

  void add_quarter(const Lines& lines);
  void finish();
};

// The middle four of 4×4 pixels: what resizing bilinearly to a quarter takes, rounded to nearest, halves up.
void PhysicsIqRecorder::State::add_quarter(const Lines& lines) {
  const int count = clip.width;
  const Size size = static_cast<Size>(count);
  std::vector<std::uint16_t>& sums = line % 4 == 1 ? upper : lower;
  sums.resize(3 * size);
  mask_lines::add_pairs(lines.red, count, sums.data());
  mask_lines::add_pairs(lines.green, count, sums.data() + size);
  mask_lines::add_pairs(lines.blue, count, sums.data() + 2 * size);
  if (line % 4 == 1) return;
  quarters.resize(3 * size);
  mask_lines::quarter_sums(upper.data(), lower.data(), 3 * count, quarters.data());
  join_line({&quarters[0], &quarters[size], &quarters[2 * size]}, count,
            &clip.pixels.back()[static_cast<Size>(line / 4) * 3 * size]);
}

void PhysicsIqRecorder::State::finish() {
  const BitMask& mask = maker.finish();
  clip.masks.emplace_back(static_cast<Size>(clip.width) * static_cast<Size>(clip.height));
  if (exactly_four) {
    quarter(mask, clip.masks.back().data());
    return;
  }
  const cv::Size size(clip.width, clip.height);
  cv::Mat large(height, width, CV_8U), small(size, CV_8U, clip.masks.back().data());
  unpack(mask, 255, large.data);
  cv::resize(large, small, size);
  cv::threshold(small, small, 127, 1, cv::THRESH_BINARY);
  cv::Mat pixels(size, CV_8UC3, clip.pixels.back().data());
  cv::resize(cv::Mat(height, width, CV_8UC3, whole.bytes().data()), pixels, size);
}

PhysicsIqRecorder::PhysicsIqRecorder(int width, int height) : state_(std::make_unique<State>()) {
  ORRERY_CHECK(width >= 1 && height >= 1, "[physics-iq] the real video is smaller than 4 pixels a side");
  state_->clip.width = width, state_->clip.height = height;
}
PhysicsIqRecorder::~PhysicsIqRecorder() = default;

void PhysicsIqRecorder::start(int width, int height) {
  State& s = *state_;
  s.maker.start(width, height);
  s.width = width, s.height = height, s.line = 0;
  s.exactly_four = width == 4 * s.clip.width && height == 4 * s.clip.height;
  s.clip.pixels.emplace_back(3 * static_cast<Size>(s.clip.width) * static_cast<Size>(s.clip.height));
  if (!s.exactly_four && (s.whole.width() != width || s.whole.height() != height)) s.whole = Frame(width, height);
}

void PhysicsIqRecorder::add_line(const Lines& lines) {
  State& s = *state_;
  s.maker.add(lines);
  if (!s.exactly_four) {
    join_line(lines, s.width, s.whole.row(s.line));
  } else if (s.line % 4 == 1 || s.line % 4 == 2) {
    s.add_quarter(lines);
  }
  if (++s.line == s.height) s.finish();
}

void PhysicsIqRecorder::add(const Frame& frame) {
  start(frame.width(), frame.height());
  LineSplitter splitter(frame.width());
  for (int y = 0; y < frame.height(); ++y) add_line(splitter.split(frame.row(y)));
}

int PhysicsIqRecorder::count() const { return static_cast<int>(state_->clip.masks.size()); }
PhysicsIqClip PhysicsIqRecorder::take() { return std::move(state_->clip); }

PhysicsIqClip prepare_physics_iq(std::span<const Frame> frames, int width, int height, int count) {
  ORRERY_CHECK(count >= 1 && static_cast<int>(frames.size()) >= count, "[physics-iq] the clip has ", frames.size(),
               " frames, expected at least ", std::max(1, count));
  PhysicsIqRecorder recorder(width, height);
  for (const Frame& frame : frames.first(static_cast<Size>(count))) recorder.add(frame);
  return recorder.take();
}

std::vector<Frame> blend_to_rate(std::span<const Frame> frames, double from, double to) {
  ORRERY_CHECK(from >= 1 && to >= 1 && frames.size() >= 2, "[physics-iq] ", frames.size(), " frames at ", from,
               " a second cannot be made ", to, " a second");
  const double seconds = std::min(5.0, static_cast<double>(frames.size()) / from);
  const Size count = std::min(frames.size(), static_cast<Size>(seconds * from)),
             wanted = static_cast<Size>(seconds * to);
  std::vector<Frame> out;
  for (Size j = 0; j < wanted; ++j) {
    const double at =
        wanted < 2 ? 0 : static_cast<double>(j) * static_cast<double>(count - 1) / static_cast<double>(wanted - 1);
    const Size first = static_cast<Size>(at), second = std::min(first + 1, count - 1);
    const float part = static_cast<float>(at - static_cast<double>(first)),
                rest = static_cast<float>(1 - (at - static_cast<double>(first)));
    out.push_back(frames[first]);
    const auto a = frames[first].bytes(), b = frames[second].bytes();
    for (Size i = 0; i < a.size(); ++i)
      out.back().bytes()[i] =
          static_cast<std::uint8_t>(rest * static_cast<float>(a[i]) + part * static_cast<float>(b[i]));
  }
  return out;
}

PhysicsIqMetrics compare_physics_iq(const PhysicsIqClip& real, const PhysicsIqClip& generated) {
  ORRERY_CHECK(real.width == generated.width && real.height == generated.height &&
                   real.masks.size() == generated.masks.size() && !real.masks.empty(),
               "[physics-iq] clips of ", real.masks.size(), " and ", generated.masks.size(),
               " frames, expected as many, and of one size");
  PhysicsIqMetrics out;
  const Size n = real.masks.size(), size = real.masks[0].size();
  // How often a pixel is set; a clip has fewer frames than 16 bits count.
  ORRERY_CHECK(n <= 65535, "[physics-iq] clips of ", n, " frames, expected at most 65535");
  std::vector<std::uint16_t> often_a(size, 0), often_b(size, 0);
  for (Size t = 0; t < n; ++t) {
    const std::uint8_t *a = real.masks[t].data(), *b = generated.masks[t].data();
    out.spatiotemporal_iou += overlap_of(real.masks[t], generated.masks[t]).iou();
    const std::int64_t count = static_cast<std::int64_t>(real.pixels[t].size()),
                       square = mask_lines::square_difference(real.pixels[t].data(), generated.pixels[t].data(), count);
    out.mse += static_cast<double>(square) / (255.0 * 255.0 * static_cast<double>(count));
    for (Size i = 0; i < size; ++i) {
      often_a[i] = static_cast<std::uint16_t>(often_a[i] + a[i]);
      often_b[i] = static_cast<std::uint16_t>(often_b[i] + b[i]);
    }
  }
  out.spatiotemporal_iou /= static_cast<double>(n), out.mse /= static_cast<double>(n);
  Overlap ever;
  std::int64_t least = 0, most = 0;
  for (Size i = 0; i < size; ++i) {
    ever.both += often_a[i] && often_b[i], ever.either += often_a[i] || often_b[i];
    least += std::min(often_a[i], often_b[i]), most += std::max(often_a[i], often_b[i]);
  }
  out.spatial_iou = ever.iou();
  out.weighted_spatial_iou = most > 0 ? static_cast<double>(least) / static_cast<double>(most) : 1;
  return out;
}

double physics_iq_score(std::span<const PhysicsIqView> views) {
  ORRERY_CHECK(!views.empty(), "[physics-iq] no views to score");
  PhysicsIqMetrics model, variance;
  for (const PhysicsIqView& view : views) {
    const double n = static_cast<double>(views.size());
    const auto add = [n](PhysicsIqMetrics& to, const PhysicsIqMetrics& from) {
      to.spatial_iou += from.spatial_iou / n, to.spatiotemporal_iou += from.spatiotemporal_iou / n;
      to.weighted_spatial_iou += from.weighted_spatial_iou / n, to.mse += from.mse / n;
    };
    add(model, view.model), add(variance, view.variance);
  }
  const double ratio =
      (model.spatial_iou / variance.spatial_iou + model.spatiotemporal_iou / variance.spatiotemporal_iou +
       model.weighted_spatial_iou / variance.weighted_spatial_iou) /
      3;
  return 100 * std::clamp(ratio - (model.mse - variance.mse), 0.0, 1.0);
}

double physics_iq_verified_score(std::span<const PhysicsIqView> views) {
  ORRERY_CHECK(!views.empty(), "[physics-iq] no views to score");
  double sum = 0;
  for (const PhysicsIqView& view : views) {
    const auto term = [](double value, double by) { return std::clamp(value / (by + 1e-8), 0.0, 1.0); };
    const double mse = view.model.mse > 0 ? std::clamp((view.variance.mse + 1e-8) / view.model.mse, 0.0, 1.0) : 1.0;
    sum += (term(view.model.spatial_iou, view.variance.spatial_iou) +
            term(view.model.spatiotemporal_iou, view.variance.spatiotemporal_iou) +
            term(view.model.weighted_spatial_iou, view.variance.weighted_spatial_iou) + mse) /
           4;
  }
  return 100 * sum / static_cast<double>(views.size());
}

}  // namespace orrery
