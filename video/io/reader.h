// Reading videos and pictures: whatever FFmpeg decodes comes out as upright 8-bit RGB frames with square pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "video/frames/frame.h"
#include "video/frames/lines.h"

namespace orrery {

/// What a video file is, known after its first frame was decoded.
struct VideoInfo {
  std::string container;     ///< FFmpeg's short name: "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "gif", "png_pipe" …
  std::string codec;         ///< "h264", "ffv1", "vp9", "gif", "png" …
  std::string pixel_format;  ///< As stored: "yuv420p", "rgba64be" …
  int width = 0;             ///< Pixels of the frames that come out: upright, square pixels.
  int height = 0;
  int rotation = 0;       ///< Degrees clockwise that were applied to make it upright: 0, 90, 180, 270.
  int bit_depth = 8;      ///< Bits a component as stored.
  bool alpha = false;     ///< The file has an alpha channel (composited over ReadOptions::background).
  bool audio = false;     ///< There is sound too (not read).
  double fps = 0;         ///< Frames a second of the frames that come out; the mean where the rate varies. 0: a still.
  double source_fps = 0;  ///< Frames a second as stored.
  double seconds = 0;     ///< Length; 0 where the container does not say.
  std::int64_t frames = 0;  ///< Frames as stored that the container declares or its length implies; 0 where unknown.
  std::map<std::string, std::string> tags;  ///< The container's tags, keys as stored.
  std::string metadata;  ///< The provenance JSON that VideoWriter stored in the file; empty if there is none.
};

struct ReadOptions {
  /// Frames a second wanted: frame k is the one on screen at k / fps seconds. 0: every stored frame once.
  double fps = 0;
  /// What shows through alpha: 0xRRGGBB.
  std::uint32_t background = 0x000000;
  /// Deliver what can be decoded of a damaged or truncated file, instead of throwing; see VideoReader::damage().
  bool tolerate_damage = false;
  /// Threads that decode; 0: as many as parallel regions use. One a video is best where many are read at once.
  int threads = 0;
};

/// Takes a frame's rows from the top; the lines are valid during the call.
using LineSink = std::function<void(int y, const Lines& lines)>;

/// Streams the frames of one video; holds a few frames, never the file. One thread at a time.
/// A path with a %d or %04d in it is a numbered picture sequence (if no file has that very name).
/// Throws InputError, one line that names the file, when it cannot be opened, is empty, no video, audio only, has no
/// frame, or (unless tolerated) is damaged: from the constructor where the container shows it (a file cut short), else
/// from the next() that meets it.
class VideoReader {
 public:
  explicit VideoReader(const std::string& path, const ReadOptions& options = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  /// The next frame into `frame` (whose memory is reused); false after the last one.
  bool next(Frame& frame);
  /// The same, row by row and without a frame in memory, for who looks at each pixel once.
  bool next_lines(const LineSink& sink);
  /// Seconds from the start of the video at which the frame that next() gave last is shown.
  double time() const;
  /// The next frame will be the one on screen at `seconds` (with ReadOptions::fps: the first of the grid k / fps that
  /// is not before it). Past the end: next() returns false. Throws InputError if `seconds` is negative.
  void seek(double seconds);
  /// Why frames are missing or doubtful; empty for a sound file. Complete after the last frame.
  const std::string& damage() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole video in memory, for short clips. Throws like VideoReader; also when it has more than `max_frames` frames.
Clip read_video(const std::string& path, const ReadOptions& options = {}, std::int64_t max_frames = 100000);

/// The first frame of a picture or a video.
Frame read_image(const std::string& path);

/// The provenance JSON of a video: from the container, else from the sidecar; empty if neither has one.
std::string read_metadata(const std::string& path);

/// Whether the name has an extension that VideoReader is usually given (.mp4 .mkv .webm .mov .avi .gif .png .jpg …),
/// for picking the videos out of a folder. The content decides when it is read.
bool has_video_extension(const std::string& path);

}  // namespace orrery
