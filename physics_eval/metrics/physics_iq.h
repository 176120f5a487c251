// Physics-IQ's motion masks, four metrics and two scores (arXiv 2501.09038; "verified": arXiv 2606.18943), from frames:
// without the lossy mask files that the published code writes in between.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "video/frames/frame.h"
#include "video/frames/lines.h"

namespace orrery {

/// A frame's moving pixels: 0 or 255, row-major.
struct MotionMask {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

/// Grey → Gaussian 5×5 → running mean (0.3) → |grey − mean| > 10 → opened, then closed by 5×5 ones. The first frame's
/// mask is empty. Throws InputError for frames of different sizes.
std::vector<MotionMask> motion_masks(std::span<const Frame> frames);

struct PhysicsIqMetrics {
  /// IoU of the masks' union over time.
  double spatial_iou = 0;
  /// IoU a frame (both empty: 1), averaged.
  double spatiotemporal_iou = 0;
  /// Σmin / Σmax of the masks' means over time.
  double weighted_spatial_iou = 0;
  /// Mean over frames of the mean squared difference of the pixels in [0, 1].
  double mse = 0;
};

/// Frames ready for the metrics: resized bilinearly to a quarter of the real video's size, masks cut at 127.
struct PhysicsIqClip {
  int width = 0, height = 0;
  std::vector<std::vector<std::uint8_t>> masks;   ///< 0 or 1
  std::vector<std::vector<std::uint8_t>> pixels;  ///< R, G, B
};

/// Makes such a clip frame by frame and line by line, so that of large videos no more than a frame is in memory and
/// each pixel is looked at while it is in the cache. Masks are made at the frames' own size.
class PhysicsIqRecorder {
 public:
  /// The size of the result. Throws InputError for a side below 1.
  PhysicsIqRecorder(int width, int height);
  ~PhysicsIqRecorder();
  /// Begins a frame, whose `height` lines add_line() takes from the top. Throws InputError for another size than the
  /// first frame's.
  void start(int width, int height);
  void add_line(const Lines& lines);
  /// A whole frame.
  void add(const Frame& frame);
  int count() const;
  PhysicsIqClip take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The first `count` frames of `frames` at `width` × `height`. Throws InputError when there are fewer.
PhysicsIqClip prepare_physics_iq(std::span<const Frame> frames, int width, int height, int count);

/// The first five seconds at another rate, as the published code makes its real videos of 24, 16 or 8 frames a second
/// from those of 30: linear blends, cut to whole bytes. Throws InputError for rates below 1 or fewer than two frames.
std::vector<Frame> blend_to_rate(std::span<const Frame> frames, double from, double to);

/// Throws InputError unless both have the same size and number of frames, at least one.
PhysicsIqMetrics compare_physics_iq(const PhysicsIqClip& real, const PhysicsIqClip& generated);

/// A scenario's view: the generated clip against take 1, and take 2 against take 1.
struct PhysicsIqView {
  PhysicsIqMetrics model, variance;
};

/// 100 · clip(⅓ Σ mean IoU of the model / mean IoU of the takes − (MSE − MSE of the takes), 0, 1) over all views.
double physics_iq_score(std::span<const PhysicsIqView> views);
/// 100 · mean over views of the mean of four terms clipped to [0, 1]: IoU / (its variance + 1e-8), thrice, and
/// (MSE of the takes + 1e-8) / MSE.
double physics_iq_verified_score(std::span<const PhysicsIqView> views);

}  // namespace orrery
