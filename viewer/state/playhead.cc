#include "viewer/state/playhead.h"

#include <algorithm>
#include <cmath>

namespace orrery::viewer {

namespace {
constexpr double kSlowest = 0.125, kFastest = 8;
}

void Playhead::set_range(std::int64_t first, std::int64_t frames, double fps, bool growing) {
  first_ = first, frames_ = std::max(first, frames), growing_ = growing;
  fps_ = fps > 0 ? fps : 24;
  position_ = std::clamp(position_, static_cast<double>(first_), static_cast<double>(last()) + 0.999);
}

void Playhead::play() {
  // From the end, playing means from the start.
  if (!growing_ && frame() >= last()) position_ = static_cast<double>(first_);
  playing_ = true;
}

void Playhead::pause() {
  playing_ = false;
  position_ = std::floor(position_);
}

void Playhead::step(std::int64_t frames) {
  pause();
  seek(frame() + frames);
}

void Playhead::seek(std::int64_t frame) { position_ = static_cast<double>(std::clamp(frame, first_, last())); }

void Playhead::to_end() {
  seek(last());
  if (growing_) playing_ = true;
}

void Playhead::rewind() { position_ = static_cast<double>(first_); }

void Playhead::tick(double seconds) {
  if (!playing_ || frames_ <= first_) return;
  const double end = static_cast<double>(frames_);
  position_ += seconds * speed_ * fps_;
  if (position_ < end) return;
  if (growing_) {
    // Waiting: what comes next is shown for its whole time.
    position_ = end - 1e-6;
  } else if (loop) {
    position_ = static_cast<double>(first_) + std::fmod(position_ - end, end - static_cast<double>(first_));
  } else {
    position_ = end - 1;
    playing_ = false;
  }
}

void Playhead::faster() { speed_ = std::min(kFastest, speed_ * 2); }
void Playhead::slower() { speed_ = std::max(kSlowest, speed_ / 2); }

}  // namespace orrery::viewer
