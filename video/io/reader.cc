// VideoReader: the decoder's pictures, on their own times or resampled to a grid of times, as upright RGB frames.
#include "video/io/reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "core/base/error.h"
#include "video/io/container.h"
#include "video/io/libav/convert.h"
#include "video/io/libav/decoder.h"
#include "video/io/metadata_keys.h"
#include "video/io/writer.h"

namespace orrery {
namespace {

using libav::Owned;

/// A decoded picture and when it is shown, in seconds from the start of the video.
struct Picture {
  Owned<AVFrame> frame;
  double start = 0, end = 0;
  explicit operator bool() const { return frame != nullptr; }
};

double positive(AVRational value) { return value.num > 0 && value.den > 0 ? av_q2d(value) : 0; }

std::string tag(const AVDictionary* tags, const char* key) {
  const AVDictionaryEntry* entry = av_dict_get(tags, key, nullptr, 0);
  return entry != nullptr ? entry->value : "";
}

bool is_still(const AVFormatContext& format) {
  const std::string name = format.iformat->name;
  return name.size() > 5 && name.compare(name.size() - 5, 5, "_pipe") == 0;
}

}  // namespace

struct VideoReader::State {
  State(const std::string& file_path, const ReadOptions& read_options);

  void open();
  void fill_info();
  void read_size();
  Picture decode();
  void restart();
  bool seek_to(double seconds);
  bool upright() const { return crop_width == stored_width && crop_height == stored_height && orientation.identity(); }
  void show(const Picture& picture, Frame& out);
  bool advance();
  bool next_stored(Frame& out);
  bool next_on_grid(Frame& out);
  void check_damage();

  std::string path;
  ReadOptions options;
  std::unique_ptr<libav::Decoder> decoder;
  libav::ToRgb convert;
  libav::Orientation orientation;
  VideoInfo info;
  int stored_width = 0, stored_height = 0;  // After square pixels, before cropping and rotation.
  int crop_width = 0, crop_height = 0;
  std::int64_t origin = AV_NOPTS_VALUE;
  double frame_seconds = 0, tolerance = 0;
  Picture ahead, current;  // The next picture; on a grid also the one on screen.
  Frame shown;             // The converted current picture on a grid.
  bool shown_valid = false;
  double now = 0;
  std::int64_t grid_index = 0, delivered = 0;
  std::string damage;
};

VideoReader::State::State(const std::string& file_path, const ReadOptions& read_options)
    : path(file_path), options(read_options) {
  ORRERY_CHECK(options.fps >= 0 && options.fps <= 1000, "[video] fps is ", options.fps, ", expected 0 to 1000");
  open();
}

void VideoReader::State::open() {
  decoder = std::make_unique<libav::Decoder>(path, options.threads);
  std::string truncation;
  if (!container::is_sequence(path)) truncation = container::find_truncation(path);
  if (!truncation.empty()) damage = "truncated: " + truncation;
  check_damage();
  const AVStream& stream = decoder->stream();
  const double tick = av_q2d(stream.time_base);
  double rate = positive(stream.avg_frame_rate) > 0 ? positive(stream.avg_frame_rate) : positive(stream.r_frame_rate);
  // FFmpeg 7 says 25 of a GIF whose delays are 4 and 5 hundredths: frames and duration tell better.
  if (std::string_view(decoder->format().iformat->name) == "gif" && stream.nb_frames > 1 && stream.duration > 0)
    rate = static_cast<double>(stream.nb_frames) / (static_cast<double>(stream.duration) * tick);
  info.source_fps = is_still(decoder->format()) ? 0 : rate;
  if (container::is_sequence(path)) {
    const std::string first = std::filesystem::exists(container::sequence_name(path, 0))
                                  ? container::sequence_name(path, 0)
                                  : container::sequence_name(path, 1);
    info.metadata = container::png_text(first, kMetadataKey);
    const double stored = std::atof(container::png_text(first, kFpsKey).c_str());
    if (stored > 0 && stored <= 1000) info.source_fps = stored;
  }
  frame_seconds = info.source_fps > 0 ? 1 / info.source_fps : 0;
  // Containers round times to their tick (1 ms in Matroska, 10 ms in GIF): a picture that begins within a tick counts.
  // A sequence's times are exact: its frames are counted; so are ticks as long as a picture (AVI).
  const double finest = frame_seconds > 0 ? std::min(tick, frame_seconds / 4) : tick;
  const double blur = container::is_sequence(path) ? 0 : finest;
  tolerance = std::min(blur, options.fps > 0 ? 0.5 / options.fps : blur) + 1e-7;
  const std::int32_t* matrix = libav::display_matrix(stream);
  orientation = libav::orientation_of(matrix);
  ahead = decode();
  if (!ahead) {
    check_damage();
    throw InputError("[video] " + path + ": has no frame that can be decoded" +
                     (damage.empty() ? "" : " (" + damage + ")"));
  }
  if (matrix == nullptr) {
    const AVFrameSideData* side = av_frame_get_side_data(ahead.frame.get(), AV_FRAME_DATA_DISPLAYMATRIX);
    if (side != nullptr && side->size >= 36) {
      orientation = libav::orientation_of(reinterpret_cast<const std::int32_t*>(side->data));
    }
  }
  fill_info();
}

void VideoReader::State::read_size() {
  const AVFrame& frame = *ahead.frame;
  stored_width = frame.width, stored_height = frame.height;
  AVRational aspect = frame.sample_aspect_ratio;
  if (aspect.num <= 0 || aspect.den <= 0) aspect = decoder->stream().sample_aspect_ratio;
  // Square pixels, or circles are ellipses; absurd ratios are broken headers.
  const double ratio = positive(aspect);
  if (ratio > 0.1 && ratio < 10 && aspect.num != aspect.den) {
    stored_width = std::max(1, static_cast<int>(std::lround(stored_width * ratio)));
  }
  crop_width = stored_width, crop_height = stored_height;
  std::istringstream size(tag(decoder->format().metadata, kSizeKey));
  int width = 0, height = 0;
  char by = 0;
  // Our writer pads odd sizes by one.
  if (size >> width >> by >> height && by == 'x' && width > 0 && height > 0 && stored_width - width >= 0 &&
      stored_width - width <= 1 && stored_height - height >= 0 && stored_height - height <= 1) {
    crop_width = width, crop_height = height;
  }
}

void VideoReader::State::fill_info() {
  const AVFormatContext& format = decoder->format();
  const AVStream& stream = decoder->stream();
  const AVPixFmtDescriptor* pixels = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(ahead.frame->format));
  read_size();
  info.container = format.iformat->name;
  info.codec = avcodec_get_name(stream.codecpar->codec_id);
  info.pixel_format = pixels != nullptr ? pixels->name : "unknown";
  info.bit_depth = pixels != nullptr ? pixels->comp[0].depth : 8;
  info.alpha = pixels != nullptr && (pixels->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
  info.width = orientation.transpose ? crop_height : crop_width;
  info.height = orientation.transpose ? crop_width : crop_height;
  info.rotation = orientation.rotation();
  info.audio = decoder->has_audio();
  info.fps = options.fps > 0 ? options.fps : info.source_fps;
  if (is_still(format)) {
    info.frames = 1;
  } else if (container::is_sequence(path)) {
    info.frames = stream.duration > 0 ? stream.duration : 0;
    info.seconds = static_cast<double>(info.frames) * frame_seconds;
  } else {
    if (stream.duration > 0)
      info.seconds = static_cast<double>(stream.duration) * av_q2d(stream.time_base);
    else if (format.duration > 0)
      info.seconds = static_cast<double>(format.duration) / AV_TIME_BASE;
    info.frames = stream.nb_frames > 0 ? stream.nb_frames
                                       : static_cast<std::int64_t>(std::llround(info.seconds * info.source_fps));
  }
  for (const AVDictionary* tags : {format.metadata, stream.metadata}) {
    for (const AVDictionaryEntry* entry = nullptr;
         (entry = av_dict_get(tags, "", entry, AV_DICT_IGNORE_SUFFIX)) != nullptr;) {
      info.tags.emplace(entry->key, entry->value);
    }
  }
  if (info.metadata.empty()) info.metadata = tag(format.metadata, kMetadataKey);
  if (info.metadata.empty()) info.metadata = container::png_text(path, kMetadataKey);
  if (info.metadata.empty() && info.container == "gif") {
    const std::string text = container::gif_text(path);
    if (!text.empty() && text.front() == '{') info.metadata = text;
  }
}

Picture VideoReader::State::decode() {
  AVFrame* frame = decoder->next();
  if (frame == nullptr) return {};
  Picture picture;
  picture.frame = libav::new_frame();
  av_frame_move_ref(picture.frame.get(), frame);
  const double tick = av_q2d(decoder->stream().time_base);
  const std::int64_t pts = picture.frame->best_effort_timestamp;
  if (origin == AV_NOPTS_VALUE && pts != AV_NOPTS_VALUE) origin = pts;
  const bool timed = pts != AV_NOPTS_VALUE && !container::is_sequence(path);
  picture.start = timed ? static_cast<double>(pts - origin) * tick : static_cast<double>(delivered) * frame_seconds;
  const std::int64_t length = libav::frame_duration(*picture.frame);
  picture.end = picture.start + (length > 0 && timed ? static_cast<double>(length) * tick : frame_seconds);
  ++delivered;
  return picture;
}

void VideoReader::State::check_damage() {
  if (damage.empty()) damage = decoder->damage();
  ORRERY_CHECK(options.tolerate_damage || damage.empty(), "[video] ", path, ": damaged: ", damage);
}

void VideoReader::State::show(const Picture& picture, Frame& out) {
  if (upright()) {
    convert.run(*picture.frame, stored_width, stored_height, options.background, out);
    return;
  }
  Frame whole;
  convert.run(*picture.frame, stored_width, stored_height, options.background, whole);
  if (crop_width != stored_width || crop_height != stored_height) {
    Frame part(crop_width, crop_height);
    for (int y = 0; y < crop_height; ++y) std::copy_n(whole.row(y), 3 * crop_width, part.row(y));
    whole = std::move(part);
  }
  out = orientation.identity() ? std::move(whole) : libav::orient(whole, orientation);
}

// To the next picture as stored.
bool VideoReader::State::advance() {
  check_damage();
  if (!current) {  // Set by a seek only.
    current = std::move(ahead);
    ahead = current ? decode() : Picture{};
  }
  if (current) now = current.start;
  return static_cast<bool>(current);
}

bool VideoReader::State::next_stored(Frame& out) {
  if (!advance()) return false;
  show(current, out);
  current = {};
  return true;
}

bool VideoReader::State::next_on_grid(Frame& out) {
  check_damage();
  const double wanted = static_cast<double>(grid_index) / options.fps;
  while (ahead && (!current || ahead.start <= wanted + tolerance)) {
    current = std::move(ahead);
    ahead = decode();
    shown_valid = false;
  }
  if (!ahead) {
    // A still has no length: it is one frame.
    const double end = std::max(current ? current.end : 0, 1e-6);
    if (!current || (wanted >= end - tolerance && grid_index > 0)) {
      check_damage();
      return false;
    }
  }
  if (!shown_valid) show(current, shown);
  shown_valid = true;
  out = shown;
  now = wanted;
  ++grid_index;
  return true;
}

void VideoReader::State::restart() {
  decoder = std::make_unique<libav::Decoder>(path, options.threads);
  delivered = 0;
}

bool VideoReader::State::seek_to(double seconds) {
  const double tick = av_q2d(decoder->stream().time_base);
  const std::int64_t target = origin + static_cast<std::int64_t>(std::floor(seconds / tick));
  current = {};
  ahead = {};
  shown_valid = false;
  // Sequences are timed by counting; elsewhere the key picture may come out after the target in a file with a bad
  // index.
  bool sought = !container::is_sequence(path) && origin != AV_NOPTS_VALUE && decoder->seek(target);
  if (sought) {
    ahead = decode();
    sought = ahead && ahead.frame->best_effort_timestamp != AV_NOPTS_VALUE && ahead.start <= seconds + tolerance;
  }
  if (!sought) {
    restart();
    ahead = decode();
  }
  // Stops when the picture after is later than the target.
  while (ahead) {
    Picture after = decode();
    if (after ? after.start > seconds + tolerance : ahead.end > seconds + tolerance) {
      current = std::move(ahead);
      ahead = std::move(after);
      return true;
    }
    ahead = std::move(after);
  }
  return false;
}

VideoReader::VideoReader(const std::string& path, const ReadOptions& options)
    : state_(std::make_unique<State>(path, options)) {}
VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

const VideoInfo& VideoReader::info() const { return state_->info; }
double VideoReader::time() const { return state_->now; }
const std::string& VideoReader::damage() const { return state_->damage; }

bool VideoReader::next(Frame& frame) {
  return state_->options.fps > 0 ? state_->next_on_grid(frame) : state_->next_stored(frame);
}

bool VideoReader::next_lines(const LineSink& sink) {
  State& state = *state_;
  if (state.options.fps > 0 || !state.upright()) {
    Frame frame;
    if (!next(frame)) return false;
    libav::send_lines(frame, sink);
    return true;
  }
  if (!state.advance()) return false;
  state.convert.run(*state.current.frame, state.stored_width, state.stored_height, state.options.background, sink);
  state.current = {};
  return true;
}

void VideoReader::seek(double seconds) {
  ORRERY_CHECK(seconds >= 0, "[video] seek to ", seconds, " s, expected 0 or more");
  State& state = *state_;
  if (state.options.fps > 0) {
    state.grid_index = static_cast<std::int64_t>(std::ceil(seconds * state.options.fps - 1e-6));
    seconds = static_cast<double>(state.grid_index) / state.options.fps;
  }
  state.seek_to(seconds);
}

Clip read_video(const std::string& path, const ReadOptions& options, std::int64_t max_frames) {
  VideoReader reader(path, options);
  Clip clip;
  clip.fps = reader.info().fps > 0 ? reader.info().fps : clip.fps;
  Frame frame;
  while (reader.next(frame)) {
    ORRERY_CHECK(static_cast<std::int64_t>(clip.frames.size()) < max_frames, "[video] ", path, ": has more than ",
                 max_frames, " frames");
    clip.frames.push_back(frame);
  }
  return clip;
}

Frame read_image(const std::string& path) {
  VideoReader reader(path);
  Frame frame;
  ORRERY_CHECK(reader.next(frame), "[video] ", path, ": has no frame");
  return frame;
}

std::string read_metadata(const std::string& path) {
  std::string metadata = VideoReader(path).info().metadata;
  if (!metadata.empty()) return metadata;
  std::ifstream sidecar(sidecar_path(path), std::ios::binary);
  std::ostringstream text;
  if (sidecar) text << sidecar.rdbuf();
  return text.str();
}

bool has_video_extension(const std::string& path) {
  static const char* const kExtensions[] = {".mp4",  ".m4v",  ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg",
                                            ".mpeg", ".ts",   ".wmv", ".flv", ".ogv",  ".3gp", ".y4m", ".png",
                                            ".jpg",  ".jpeg", ".bmp", ".tif", ".tiff", ".webp"};
  std::string extension = std::filesystem::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return std::find(std::begin(kExtensions), std::end(kExtensions), extension) != std::end(kExtensions);
}

}  // namespace orrery
