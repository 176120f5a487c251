// Writing videos and pictures: the extension says the format, the file appears whole or not at all, and the same frames
// and options give the same bytes with the same FFmpeg libraries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

struct WriteOptions {
  /// Frames a second, 0.001 to 1000; 23.976, 29.97 and 59.94 become the exact broadcast fractions.
  double fps = 24;
  /// 0 (smallest file) to 100 (best); for H.264 and VP9 only. 75: no visible loss (H.264 CRF 17).
  int quality = 75;
  /// H.264 in half the time, for files up to a tenth larger (x264's preset veryfast instead of medium).
  bool quick = false;
  /// Provenance JSON, one object; stored in the container (MP4, MKV, WebM, GIF, PNG) and in the sidecar. Empty: none.
  std::string metadata;
  /// Write the sidecar (sidecar_path()) when there is metadata.
  bool sidecar = true;
};

/// Streams frames into one file, by its name:
/// - .mp4 .mov .m4v: H.264, yuv420p, index first (faststart). Odd sizes are padded by one, which our reader takes off.
/// - .mkv: FFV1 in RGB, lossless.
/// - .webm: VP9, yuv420p.
/// - .gif: a palette of its own for each frame, looping.
/// - a name with %d or %04d, .png: a numbered picture sequence from 1.
/// - .png: one still; a second frame is an error.
///
/// H.264 and VP9 are tagged and converted as BT.709, limited range. Until close() only hidden temporaries exist.
class VideoWriter {
 public:
  /// Throws InputError for an unknown extension, a size below 1x1 or above 16384 a side, options out of range, or a
  /// folder that cannot be written.
  VideoWriter(const std::string& path, int width, int height, const WriteOptions& options = {});
  /// Without close() everything written is removed.
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  /// One frame of exactly the size given. Throws InputError for another size, Error (Blame::ours) when it cannot be
  /// written (disk full).
  void write(const Frame& frame);
  /// Replaces WriteOptions::metadata before close(), for what is known only after the last frame (hashes, times).
  /// MKV and WebM write their copy before the first frame: there a later text reaches the sidecar only.
  void set_metadata(const std::string& metadata);
  /// Ends the file, syncs it and gives it its name, then the sidecar. At least one frame must have been written.
  void close();

  std::int64_t frames() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All frames of a clip (all of one size) at once.
void write_video(const std::string& path, const Clip& clip, WriteOptions options = {});

/// One picture (.png).
void write_image(const std::string& path, const Frame& frame, const std::string& metadata = {});

/// Where the provenance of `path` lies beside it: the same stem with .json ("a/b.mp4" → "a/b.json",
/// "a/b_%04d.png" → "a/b.json").
std::string sidecar_path(const std::string& path);

/// Whether VideoWriter knows the extension; if not, `InputError` says which there are.
bool can_write_video(const std::string& path);

}  // namespace orrery
