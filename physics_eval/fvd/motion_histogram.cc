#include "physics_eval/fvd/motion_histogram.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>
#include <opencv2/video/tracking.hpp>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "video/frames/resize.h"

namespace orrery {

namespace {

using Size = std::size_t;
using Points = std::vector<std::array<float, 2>>;

constexpr int kCellPoints = 5, kCellFrames = 4, kDirections = 8;
constexpr float kPi = 3.14159265358979324f;

const cv::Size kLookAround(15, 15);
constexpr int kLevels = 3;

std::vector<cv::Mat> pyramid_of(const Frame& frame) {
  const Frame square = resize(frame, kFvmdSide, kFvmdSide, Filter::bilinear);
  const cv::Mat colour(kFvmdSide, kFvmdSide, CV_8UC3, const_cast<std::uint8_t*>(square.bytes().data()));
  cv::Mat grey;
  cv::cvtColor(colour, grey, cv::COLOR_RGB2GRAY);
  std::vector<cv::Mat> out;
  cv::buildOpticalFlowPyramid(grey, out, kLookAround, kLevels);
  return out;
}

Points grid() {
  Points out;
  for (int y = 0; y < kFvmdGrid; ++y) {
    for (int x = 0; x < kFvmdGrid; ++x) {
      const auto at = [](int i) { return 8 + static_cast<float>(i) / (kFvmdGrid - 1) * (kFvmdSide - 16); };
      out.push_back({at(x), at(y)});
    }
  }
  return out;
}

using Pyramid = std::vector<cv::Mat>;

PointTracks follow(std::span<const Pyramid> pyramids) {
  PointTracks tracks{grid()};
  for (Size t = 1; t < pyramids.size(); ++t) {
    std::vector<cv::Point2f> from, to;
    for (const auto& p : tracks.back()) from.emplace_back(p[0], p[1]);
    std::vector<std::uint8_t> found;
    cv::calcOpticalFlowPyrLK(pyramids[t - 1], pyramids[t], from, to, found, cv::noArray(), kLookAround, kLevels);
    tracks.push_back(tracks.back());
    for (Size i = 0; i < to.size(); ++i) {
      if (found[i]) tracks.back()[i] = {to[i].x, to[i].y};
    }
  }
  return tracks;
}

Points difference(const Points& after, const Points& before) {
  Points out = after;
  for (Size i = 0; i < out.size(); ++i) out[i] = {after[i][0] - before[i][0], after[i][1] - before[i][1]};
  return out;
}

// Eight directions, each with the sum of the rounded-up logarithms of the sizes, for one cell. In 32 bits, and divided
// by the remainder as NumPy does: straight motion lies on the border of two bins, where rounding decides.
void add_to_histogram(const std::array<float, 2>& v, double* histogram) {
  constexpr float kStep = 2 * kPi / kDirections;
  const float angle = std::atan2(v[0], v[1]) + kPi;
  const int bin =
      std::clamp(static_cast<int>(std::lround((angle - std::fmod(angle, kStep)) / kStep)), 0, kDirections - 1);
  const float size = std::min(std::hypot(v[0], v[1]), 255.0f);
  histogram[bin] += static_cast<double>(std::ceil(std::log2(size + 1)) / 8);
}

void add_histograms(const std::vector<Points>& vectors, std::vector<double>& out) {
  const Size side = static_cast<Size>(std::lround(std::sqrt(static_cast<double>(vectors[0].size())))),
             cells = side / kCellPoints;
  for (Size t = 0; t + kCellFrames <= vectors.size(); t += kCellFrames) {
    for (Size cell = 0; cell < cells * cells; ++cell) {
      double histogram[kDirections] = {};
      for (Size s = t; s < t + kCellFrames; ++s) {
        for (Size k = 0; k < kCellPoints * kCellPoints; ++k) {
          const Size row = cell / cells * kCellPoints + k / kCellPoints,
                     column = cell % cells * kCellPoints + k % kCellPoints;
          add_to_histogram(vectors[s][row * side + column], histogram);
        }
      }
      out.insert(out.end(), histogram, histogram + kDirections);
    }
  }
}

class MotionHistograms : public FeatureExtractor {
 public:
  explicit MotionHistograms(FvmdForm form) : form_(form) {}
  std::string name() const override {
    return form_ == FvmdForm::compat ? "FVMD compat, Lucas-Kanade" : "FVMD fixed, Lucas-Kanade";
  }
  std::string metric() const override { return "fvmd"; }
  std::string title() const override {
    return form_ == FvmdForm::compat ? "FVMD (compat, Lucas-Kanade tracks)" : "FVMD (fixed, Lucas-Kanade tracks)";
  }
  int least_frames() const override { return kFvmdFrames; }
  double covariance_offset() const override { return form_ == FvmdForm::compat ? 1e-5 : 0; }

  std::vector<std::vector<double>> extract(std::span<const Frame> frames) const override {
    ORRERY_CHECK(frames.size() >= kFvmdFrames, "[fvd] a clip of ", frames.size(), " frames, FVMD needs at least ",
                 kFvmdFrames);
    std::vector<Pyramid> pyramids;
    for (const Frame& frame : frames) pyramids.push_back(pyramid_of(frame));
    std::vector<std::vector<double>> out(frames.size() - kFvmdFrames + 1);
    parallel_for(static_cast<std::int64_t>(out.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (Size i = static_cast<Size>(begin); i < static_cast<Size>(end); ++i)
        out[i] = motion_histogram(follow(std::span(pyramids).subspan(i, kFvmdFrames)), form_);
    });
    return out;
  }

 private:
  FvmdForm form_;
};

}  // namespace

PointTracks follow_grid(std::span<const Frame> frames) {
  ORRERY_CHECK(frames.size() >= 2, "[fvd] points need at least 2 frames, there are ", frames.size());
  std::vector<Pyramid> pyramids;
  for (const Frame& frame : frames) pyramids.push_back(pyramid_of(frame));
  return follow(pyramids);
}

std::vector<double> motion_histogram(const PointTracks& tracks, FvmdForm form) {
  const Size side = tracks.empty() ? 0 : static_cast<Size>(std::lround(std::sqrt(tracks[0].size())));
  ORRERY_CHECK(side >= kCellPoints && tracks.size() >= kCellFrames, "[fvd] tracks of ",
               tracks.empty() ? 0 : tracks[0].size(), " points in ", tracks.size(),
               " frames, expected at least 25 points and 4 frames");
  for (const auto& points : tracks)
    ORRERY_CHECK(points.size() == side * side, "[fvd] ", points.size(), " points are no square grid of ", side);
  const Points still(side * side, {0, 0});
  std::vector<Points> velocity{still}, acceleration{still, still};
  for (Size t = 1; t < tracks.size(); ++t) velocity.push_back(difference(tracks[t], tracks[t - 1]));
  const std::vector<Points>& source = form == FvmdForm::compat ? tracks : velocity;
  for (Size t = 2; t < tracks.size(); ++t) acceleration.push_back(difference(source[t], source[t - 1]));
  std::vector<double> out;
  add_histograms(velocity, out);
  add_histograms(acceleration, out);
  return out;
}

std::unique_ptr<FeatureExtractor> make_motion_histograms(FvmdForm form) {
  return std::make_unique<MotionHistograms>(form);
}

}  // namespace orrery
