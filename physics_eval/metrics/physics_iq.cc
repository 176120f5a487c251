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

cv::Mat blurred_grey(const Frame& frame) {
  cv::Mat grey, out;
  cv::cvtColor(view_of(frame), grey, cv::COLOR_RGB2GRAY);
  cv::GaussianBlur(grey, out, {5, 5}, 0);
  return out;
}

MotionMask to_mask(const cv::Mat& mat) {
  MotionMask out{mat.cols, mat.rows, {}};
  for (int y = 0; y < mat.rows; ++y)
    out.pixels.insert(out.pixels.end(), mat.ptr<std::uint8_t>(y), mat.ptr<std::uint8_t>(y) + mat.cols);
  return out;
}

// Both empty: 1.
double iou(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::int64_t both = 0, either = 0;
  for (Size i = 0; i < a.size(); ++i) both += a[i] && b[i], either += a[i] || b[i];
  return either ? static_cast<double>(both) / static_cast<double>(either) : 1.0;
}

}  // namespace

std::vector<MotionMask> motion_masks(std::span<const Frame> frames) {
  std::vector<MotionMask> out;
  cv::Mat mean;
  const cv::Mat kernel = cv::Mat::ones(5, 5, CV_8U);
  for (const Frame& frame : frames) {
    ORRERY_CHECK(frame.width() == frames[0].width() && frame.height() == frames[0].height(), "[physics-iq] a frame is ",
                 frame.width(), "x", frame.height(), ", the first is ", frames[0].width(), "x", frames[0].height());
    const cv::Mat grey = blurred_grey(frame);
    if (out.empty()) {
      grey.convertTo(mean, CV_64F);
      out.push_back({frame.width(), frame.height(), std::vector<std::uint8_t>(frame.bytes().size() / 3, 0)});
      continue;
    }
    cv::accumulateWeighted(grey, mean, 0.3);
    cv::Mat rounded, difference, binary;
    cv::convertScaleAbs(mean, rounded);
    cv::absdiff(grey, rounded, difference);
    cv::threshold(difference, binary, 10, 255, cv::THRESH_BINARY);
    cv::morphologyEx(binary, binary, cv::MORPH_OPEN, kernel);
    cv::morphologyEx(binary, binary, cv::MORPH_CLOSE, kernel);
    out.push_back(to_mask(binary));
  }
  return out;
}

PhysicsIqClip prepare_physics_iq(std::span<const Frame> frames, int width, int height, int count) {
  ORRERY_CHECK(count >= 1 && static_cast<int>(frames.size()) >= count, "[physics-iq] the clip has ", frames.size(),
               " frames, expected at least ", std::max(1, count));
  ORRERY_CHECK(width >= 1 && height >= 1, "[physics-iq] the real video is smaller than 4 pixels a side");
  PhysicsIqClip out{width, height, {}, {}};
  const std::vector<MotionMask> masks = motion_masks(frames.first(static_cast<Size>(count)));
  for (Size t = 0; t < static_cast<Size>(count); ++t) {
    const MotionMask& mask = masks[t];
    cv::Mat small;
    cv::resize(cv::Mat(mask.height, mask.width, CV_8U, const_cast<std::uint8_t*>(mask.pixels.data())), small,
               {width, height});
    std::vector<std::uint8_t> cut = to_mask(small).pixels;
    for (std::uint8_t& m : cut) m = m > 127;
    out.masks.push_back(std::move(cut));
    cv::resize(view_of(frames[t]), small, {width, height});
    std::vector<float> pixels;
    for (int y = 0; y < height; ++y) {
      const std::uint8_t* row = small.ptr<std::uint8_t>(y);
      for (int i = 0; i < 3 * width; ++i) pixels.push_back(static_cast<float>(row[i] / 255.0));
    }
    out.pixels.push_back(std::move(pixels));
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
    double square = 0;
    for (Size i = 0; i < real.pixels[t].size(); ++i) {
      const double d = static_cast<double>(real.pixels[t][i]) - static_cast<double>(generated.pixels[t][i]);
      square += d * d;
    }
    out.mse += square / static_cast<double>(real.pixels[t].size());
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
