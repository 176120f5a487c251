#include "physics_eval/metrics/motion_mask.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "physics_eval/metrics/mask_lines.h"

namespace orrery {

namespace {

using Size = std::size_t;

constexpr int kReach = 2, kTaps = 5, kBlock = 64;

// The line or pixel that stands for the one at `i` of `count`: mirrored at the border without repeating it.
int mirrored(int i, int count) {
  if (count == 1) return 0;
  while (i < 0 || i >= count) i = i < 0 ? -i : 2 * (count - 1) - i;
  return i;
}

}  // namespace

void MotionMaskMaker::start(int width, int height) {
  ORRERY_CHECK(frames_ == 0 || (width == width_ && height == height_), "[physics-iq] a frame is ", width, "x", height,
               ", the first is ", width_, "x", height_);
  line_ = done_ = 0;
  if (frames_ > 0) return;
  width_ = width, height_ = height;
  const Size w = static_cast<Size>(width), all = w * static_cast<Size>(height);
  grey_.resize(w + 2 * kReach), sums_.resize(kTaps * w), blurred_.resize(w);
  before_.resize(all), mean_.resize(all);
  differs_ = BitMask(width, height);
  pending_.assign(differs_.bits.size(), 0);
}

void MotionMaskMaker::add(const Lines& lines) {
  std::uint8_t* grey = &grey_[kReach];
  mask_lines::to_grey(lines, width_, grey);
  for (int i = 1; i <= kReach; ++i) {
    grey[-i] = grey[mirrored(-i, width_)];
    grey[width_ - 1 + i] = grey[mirrored(width_ - 1 + i, width_)];
  }
  mask_lines::blur_across(grey_.data(), width_, &sums_[static_cast<Size>(line_ % kTaps) * static_cast<Size>(width_)]);
  ++line_;
  while (done_ < line_ && (done_ + kReach < line_ || line_ == height_)) finish_line();
}

// Blurs line `done_` down and lets the means follow it.
void MotionMaskMaker::finish_line() {
  const std::uint16_t* around[kTaps];
  for (int k = 0; k < kTaps; ++k) {
    const int y = mirrored(done_ + k - kReach, height_);
    around[k] = &sums_[static_cast<Size>(y % kTaps) * static_cast<Size>(width_)];
  }
  mask_lines::blur_down(around, width_, blurred_.data());
  const Size offset = static_cast<Size>(done_) * static_cast<Size>(width_);
  std::uint8_t* before = &before_[offset];
  double* mean = &mean_[offset];
  std::uint64_t* bits = differs_.row(done_);
  std::int32_t* pending = &pending_[static_cast<Size>(done_) * static_cast<Size>(differs_.words)];
  ++done_;
  if (frames_ == 0) {
    std::copy(blurred_.begin(), blurred_.end(), before);
    std::copy(blurred_.begin(), blurred_.end(), mean);
    return;
  }
  for (int x = 0; x < width_; x += kBlock, ++bits, ++pending) {
    const int count = std::min(kBlock, width_ - x);
    const std::uint8_t* now = &blurred_[static_cast<Size>(x)];
    const bool same = std::memcmp(now, before + x, static_cast<Size>(count)) == 0;
    if (same && *bits == 0) {
      ++*pending;
      continue;
    }
    if (*pending > 0) mask_lines::follow_on(before + x, count, *pending, mean + x);
    *pending = 0;
    *bits = mask_lines::follow(now, count, mean + x);
    if (!same) std::copy_n(now, count, before + x);
  }
}

const BitMask& MotionMaskMaker::finish() {
  ORRERY_ASSERT(done_ == height_, "[physics-iq] ", line_, " lines of ", height_);
  ++frames_;
  return open_close_.run(differs_);
}

Lines LineSplitter::split(const std::uint8_t* rgb) {
  const Size width = static_cast<Size>(width_);
  split_line(rgb, width_, &bytes_[0], &bytes_[width], &bytes_[2 * width]);
  return {&bytes_[0], &bytes_[width], &bytes_[2 * width]};
}

}  // namespace orrery
