// Frames to a video file on a thread of its own: a recording of what is watched, or a whole clip.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "video/frames/frame.h"

namespace orrery::viewer {

struct SaveOptions {
  std::string path;
  double fps = 24;
  /// Small frames are made larger, sharply, until the longer side has so many pixels.
  int longest_side = 512;
  /// Provenance JSON.
  std::string metadata;
};

class SaveJob {
 public:
  /// Frames come from `next`, called on the job's thread, until it gives none.
  SaveJob(const SaveOptions& options, std::function<std::optional<Frame>()> next);
  /// Frames come by push().
  explicit SaveJob(const SaveOptions& options);
  /// Ends the file with the frames so far: it is playable.
  ~SaveJob();

  /// Hands over a frame; returns at once unless the file is kQueued frames behind.
  void push(Frame frame);
  /// No more frames come. Does not wait.
  void end();

  bool done() const;
  std::int64_t frames() const;
  const std::string& path() const;
  /// One line when it failed.
  std::string error() const;
  /// Waits for the file: for tests, scripts and the end.
  void settle();

  static constexpr std::size_t kQueued = 120;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
