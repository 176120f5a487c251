// FVMD's features (Liu et al. 2024, arXiv 2407.16124): 400 points of a grid followed through 16 frames of 256 × 256
// pixels, their velocities and accelerations as histograms of 8 directions over cells of 5 × 5 points and 4 frames.
// The published code follows points with PIPs++ weights; here pyramidal Lucas-Kanade does, so figures compare with one
// another and with the published definition, not with published figures.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "physics_eval/fvd/features.h"
#include "video/frames/frame.h"

namespace orrery {

/// Where points are: [frame][point][x, y] in pixels; points in rows of a square grid.
using PointTracks = std::vector<std::vector<std::array<float, 2>>>;

constexpr int kFvmdFrames = 16, kFvmdGrid = 20, kFvmdSide = 256;

enum class FvmdForm {
  fixed,  ///< accelerations are differences of velocities
  /// As the published code has it: its accelerations are made from positions, so they repeat the velocities but for
  /// the second frame; and 1e-5 is added to the covariances under the root.
  compat,
};

/// A grid of points followed through frames of one size, from each frame to the next; a point that is lost stays where
/// it was. Frames are resized to 256 × 256. Throws InputError for fewer than 2 frames.
PointTracks follow_grid(std::span<const Frame> frames);

/// 512 values of velocities, then 512 of accelerations, for 16 frames of 400 points; other counts that fill cells give
/// other lengths. Throws InputError for tracks that are not a square grid.
std::vector<double> motion_histogram(const PointTracks& tracks, FvmdForm form);

std::unique_ptr<FeatureExtractor> make_motion_histograms(FvmdForm form);

}  // namespace orrery
