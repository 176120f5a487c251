// Physics-IQ's motion masks made line by line, frame after frame.
#pragma once

#include <cstdint>
#include <vector>

#include "physics_eval/metrics/bit_mask.h"
#include "video/frames/lines.h"

namespace orrery {

/// What moves: grey → Gaussian 5×5 → running mean (0.3) → |grey − mean| > 10 → opened, then closed by 5×5 ones. The
/// first frame's mask is empty.
class MotionMaskMaker {
 public:
  /// Begins a frame. Throws InputError for another size than the first frame's.
  void start(int width, int height);
  /// The next line, from the top.
  void add(const Lines& lines);
  /// After the last line: the frame's mask, valid until the next finish().
  const BitMask& finish();

 private:
  void finish_line();

  int width_ = 0, height_ = 0;
  int line_ = 0, done_ = 0;  ///< lines of the frame that came in and that went out
  int frames_ = 0;
  std::vector<std::uint8_t> grey_;     ///< a line with two mirrored pixels at either end
  std::vector<std::uint16_t> sums_;    ///< the last five lines, blurred across
  std::vector<std::uint8_t> blurred_;  ///< a line
  std::vector<std::uint8_t> before_;   ///< the frame before, blurred
  std::vector<double> mean_;
  /// A block of 64 pixels each: frames whose grey was that of the frame before and nothing differed. Nothing will until
  /// the grey changes, so the means follow when it does.
  std::vector<std::int32_t> pending_;
  BitMask differs_;
  OpenClose open_close_;
};

/// Frames' rows as lines.
class LineSplitter {
 public:
  explicit LineSplitter(int width) : width_(width), bytes_(3 * static_cast<std::size_t>(width)) {}
  /// Valid until the next call.
  Lines split(const std::uint8_t* rgb);

 private:
  int width_;
  std::vector<std::uint8_t> bytes_;
};

}  // namespace orrery
