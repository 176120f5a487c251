// Picture against picture: PSNR and SSIM as the field defines them.
#pragma once

#include <span>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

/// Peak signal-to-noise ratio in dB over all pixels and channels, peak 255; at most 100, which equal frames get.
/// Throws InputError for frames of different sizes.
double psnr(const Frame& a, const Frame& b);

/// Structural similarity (Wang et al. 2004): Gaussian window 11×11 with σ 1.5, population covariance, K₁ 0.01, K₂ 0.03,
/// range 255, each channel for itself and averaged, borders of 5 pixels left out: scikit-image's structural_similarity
/// with gaussian_weights=True, sigma=1.5, use_sample_covariance=False. Throws InputError for frames of different sizes
/// or smaller than 11 pixels.
double ssim(const Frame& a, const Frame& b);

struct FrameScore {
  double psnr = 0, ssim = 0;
};

/// A pair of clips frame by frame, and the means.
struct FrameScores {
  std::vector<FrameScore> frames;
  FrameScore mean;
};

/// Throws InputError when the counts or sizes differ or there are no frames.
FrameScores score_frames(std::span<const Frame> a, std::span<const Frame> b);

}  // namespace orrery
