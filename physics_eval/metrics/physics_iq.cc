#include "physics_eval/metrics/physics_iq.h"

#include <algorithm>
#include <cmath>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"

namespace orrery {

namespace {

using Size = std::size_t;

cv::Mat view_of(const Frame& frame) {
  return {frame.height(), frame.width(), CV_8UC3, const_cast<std::uint8_t*>(frame.bytes().data())};
}

std::vector<std::uint8_t> bytes_of(const cv::Mat& mat) {
  std::vector<std::uint8_t> out;
  const int line = mat.cols * mat.channels();
  out.reserve(static_cast<Size>(mat.rows) * static_cast<Size>(line));
  for (int y = 0; y < mat.rows; ++y) out.insert(out.end(), mat.ptr<std::uint8_t>(y), mat.ptr<std::uint8_t>(y) + line);
  return out;
}

// The running mean and what differs from it; buffers are kept from frame to frame.
class MaskMaker {
 public:
  // The mask of the next frame, valid until the one after it.
  const cv::Mat& next(const Frame& frame) {
    ORRERY_CHECK(mean_.empty() || (frame.width() == mean_.cols && frame.height() == mean_.rows),
                 "[physics-iq] a frame is ", frame.width(), "x", frame.height(), ", the first is ", mean_.cols, "x",
                 mean_.rows);
    cv::cvtColor(view_of(frame), colourless_, cv::COLOR_RGB2GRAY);
    cv::GaussianBlur(colourless_, grey_, {5, 5}, 0);
    if (mean_.empty()) {
      grey_.convertTo(mean_, CV_64F);
      return mask_ = cv::Mat::zeros(grey_.size(), CV_8U);
    }
    mask_.create(grey_.size(), CV_8U);
    int top = grey_.rows, bottom = -1;
    // In strips that stay in the cache: the mean in 64 bits is far larger than the picture.
    constexpr int kStrip = 16;
    for (int y = 0; y < grey_.rows; y += kStrip) {
      const cv::Range rows(y, std::min(grey_.rows, y + kStrip));
      const cv::Mat grey = grey_.rowRange(rows);
      cv::Mat mean = mean_.rowRange(rows), mask = mask_.rowRange(rows);
      cv::accumulateWeighted(grey, mean, 0.3);
      cv::convertScaleAbs(mean, rounded_);
      cv::absdiff(grey, rounded_, rounded_);
      cv::threshold(rounded_, mask, 10, 255, cv::THRESH_BINARY);
      if (cv::countNonZero(mask) > 0) top = std::min(top, rows.start), bottom = rows.end;
    }
    // Where nothing differs, neither opening nor closing makes something; each reaches four pixels.
    if (bottom < 0) return mask_;
    constexpr int kMargin = 12;
    const cv::Range part(std::max(0, top - kMargin), std::min(grey_.rows, bottom + kMargin));
    cv::Mat busy = mask_.rowRange(part);
    busy.copyTo(rounded_);  // a picture of its own, so that what lies outside is outside
    cv::morphologyEx(rounded_, rounded_, cv::MORPH_OPEN, kernel_);
    cv::morphologyEx(rounded_, rounded_, cv::MORPH_CLOSE, kernel_);
    rounded_.copyTo(busy);
    return mask_;
  }

 private:
  cv::Mat colourless_, grey_, mean_, rounded_, mask_;
  const cv::Mat kernel_ = cv::Mat::ones(5, 5, CV_8U);
};

// Both empty: 1.
double iou(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::int64_t both = 0, either = 0;
  for (Size i = 0; i < a.size(); ++i) both += a[i] && b[i], either += a[i] || b[i];
  return either ? static_cast<double>(both) / static_cast<double>(either) : 1.0;
}

}  // namespace

std::vector<MotionMask> motion_masks(std::span<const Frame> frames) {
  std::vector<MotionMask> out;
  MaskMaker maker;
  for (const Frame& frame : frames) out.push_back({frame.width(), frame.height(), bytes_of(maker.next(frame))});
  return out;
}

struct PhysicsIqRecorder::State {
  MaskMaker maker;
  PhysicsIqClip clip;
};

PhysicsIqRecorder::PhysicsIqRecorder(int width, int height) : state_(std::make_unique<State>()) {
  ORRERY_CHECK(width >= 1 && height >= 1, "[physics-iq] the real video is smaller than 4 pixels a side");
  state_->clip.width = width, state_->clip.height = height;
}
PhysicsIqRecorder::~PhysicsIqRecorder() = default;

void PhysicsIqRecorder::add(const Frame& frame) {
  PhysicsIqClip& clip = state_->clip;
  cv::Mat small;
  cv::resize(state_->maker.next(frame), small, {clip.width, clip.height});
  cv::threshold(small, small, 127, 1, cv::THRESH_BINARY);
  clip.masks.push_back(bytes_of(small));
  cv::resize(view_of(frame), small, {clip.width, clip.height});
  clip.pixels.push_back(bytes_of(small));
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
  std::vector<std::uint8_t> ever_a(size, 0), ever_b(size, 0);
  std::vector<double> sum_a(size, 0), sum_b(size, 0);
  for (Size t = 0; t < n; ++t) {
    out.spatiotemporal_iou += iou(real.masks[t], generated.masks[t]);
    std::int64_t square = 0;
    for (Size i = 0; i < real.pixels[t].size(); ++i) {
      const int d = real.pixels[t][i] - generated.pixels[t][i];
      square += d * d;
    }
    out.mse += static_cast<double>(square) / (255.0 * 255.0 * static_cast<double>(real.pixels[t].size()));
    for (Size i = 0; i < size; ++i) {
      ever_a[i] |= real.masks[t][i], ever_b[i] |= generated.masks[t][i];
      sum_a[i] += real.masks[t][i], sum_b[i] += generated.masks[t][i];
    }
  }
  out.spatiotemporal_iou /= static_cast<double>(n), out.mse /= static_cast<double>(n);
  out.spatial_iou = iou(ever_a, ever_b);
  double least = 0, most = 0;
  for (Size i = 0; i < size; ++i) least += std::min(sum_a[i], sum_b[i]), most += std::max(sum_a[i], sum_b[i]);
  out.weighted_spatial_iou = most > 0 ? least / most : 1;
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
