// What a person watches: frames by index, whatever makes them. The window asks for the frame it draws and never waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "video/frames/frame.h"

namespace orrery::viewer {

/// A frame that several threads may read.
using Picture = std::shared_ptr<const Frame>;

enum class ReelKind { file, engine, model };

/// What is known of a reel now.
struct ReelInfo {
  ReelKind kind = ReelKind::file;
  /// A file's name or a prompt.
  std::string title;
  double fps = 24;
  int width = 0, height = 0;
  /// Frames [first, frames) can be shown; what came before `first` was forgotten to bound memory.
  std::int64_t first = 0, frames = 0;
  /// More frames can come when asked for.
  bool growing = false;
  /// Not known well enough to be shown yet.
  bool opening = false;
  /// One line; empty while all is well.
  std::string error;
  /// Something to know that is no error (a damaged file's reason).
  std::string remark;
  /// Name and value, for the record panel.
  std::vector<std::pair<std::string, std::string>> facts;
};

/// Called from the window's thread; no call waits for work.
class Reel {
 public:
  virtual ~Reel() = default;
  virtual ReelInfo info() const = 0;
  /// Null when the frame is not there (yet).
  virtual Picture picture(std::int64_t frame) const = 0;
  /// What may stand in for a frame that is not there yet: a near one, perhaps small; null when there is none.
  virtual Picture nearest(std::int64_t frame) const { return picture(frame); }
  /// Says which frame is looked at, so that it and its neighbours come first.
  virtual void attend(std::int64_t frame) = 0;
};

}  // namespace orrery::viewer
