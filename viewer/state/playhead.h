// The clock of playback: where in a reel we are, and how it moves. No thread, no window, no time of its own.
#pragma once

#include <cstdint>

namespace orrery::viewer {

class Playhead {
 public:
  /// Frames [first, frames) exist. `growing`: more may come, so the end is a place to wait at, not to stop.
  void set_range(std::int64_t first, std::int64_t frames, double fps, bool growing);

  void play();
  void pause();
  void toggle() { playing_ ? pause() : play(); }
  /// Moves by whole frames and pauses.
  void step(std::int64_t frames);
  /// Goes to a frame (kept in range); playing goes on.
  void seek(std::int64_t frame);
  /// To the last frame; of a growing reel: and goes on as it grows.
  void to_end();
  /// A new reel: frame 0.
  void rewind();

  /// Moves on by `seconds` of real time. Waits at the end of a growing reel, stops (or starts over) at that of another.
  void tick(double seconds);

  std::int64_t frame() const { return static_cast<std::int64_t>(position_); }
  double seconds() const { return fps_ > 0 ? static_cast<double>(frame()) / fps_ : 0; }
  bool playing() const { return playing_; }
  /// At the newest frame of a growing reel, or one frame before.
  bool at_edge() const { return growing_ && frame() + 2 >= frames_; }
  std::int64_t first() const { return first_; }
  std::int64_t frames() const { return frames_; }
  double fps() const { return fps_; }

  /// 1/8 to 8 times the reel's rate, by factors of two.
  void faster();
  void slower();
  void set_speed(double speed) { speed_ = speed; }
  double speed() const { return speed_; }

  bool loop = true;

 private:
  std::int64_t last() const { return frames_ > first_ ? frames_ - 1 : first_; }

  std::int64_t first_ = 0, frames_ = 0;
  double fps_ = 24, position_ = 0, speed_ = 1;
  bool growing_ = false, playing_ = false;
};

}  // namespace orrery::viewer
