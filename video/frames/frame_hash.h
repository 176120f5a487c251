// Hashes of frames, for provenance and replay.
#pragma once

#include <span>
#include <string>

#include "core/base/sha256.h"
#include "video/frames/frame.h"

namespace orrery {

/// SHA-256 over frames as they come: width and height (32 bits, little-endian) of the first one, then all RGB bytes.
class FrameHash {
 public:
  void update(const Frame& frame);
  /// 64 hexadecimal digits; the object must not be used after it.
  std::string finish() { return hash_.finish_hex(); }

 private:
  Sha256 hash_;
  int width_ = 0, height_ = 0;
};

/// The hash of a whole clip: `frames_sha256` in provenance records.
std::string frames_sha256(std::span<const Frame> frames);

}  // namespace orrery
