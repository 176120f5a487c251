#include "apps/pipeline/clip_input.h"

#include <algorithm>

#include "core/base/error.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"

namespace orrery::pipeline {

namespace {

// The largest centred part of the model's shape, at the model's size.
Frame fit(const LoadedModel& model, const Frame& frame) {
  int width = frame.width(), height = frame.height();
  const std::int64_t by_width = std::int64_t{width} * model.height() / model.width();
  if (by_width <= height) {
    height = std::max<int>(1, static_cast<int>(by_width));
  } else {
    width = std::max<int>(1, static_cast<int>(std::int64_t{height} * model.width() / model.height()));
  }
  Frame part(width, height);
  const int left = (frame.width() - width) / 2, top = (frame.height() - height) / 2;
  for (int y = 0; y < height; ++y) std::copy_n(frame.at(left, top + y), width * 3, part.row(y));
  return resize(part, model.width(), model.height(), Filter::area);
}

std::vector<std::int32_t> encode_whole_latents(const LoadedModel& model, std::vector<Frame> frames) {
  const auto step = static_cast<std::size_t>(model.codec().config().time_factor);
  frames.resize(1 + (frames.size() - 1) / step * step);
  return encode_clip(model.codec(), frames);
}

VideoReader open_at_model_rate(const LoadedModel& model, const std::string& path) {
  ReadOptions read;
  read.fps = model.fps();
  return VideoReader(path, read);
}

}  // namespace

std::vector<std::int32_t> encode_start(const LoadedModel& model, const std::string& path, bool picture,
                                       double longest_seconds) {
  if (picture) return encode_clip(model.codec(), std::vector<Frame>{fit(model, read_image(path))});
  VideoReader reader = open_at_model_rate(model, path);
  const auto longest = static_cast<std::int64_t>(longest_seconds * model.fps()) + 1;
  std::vector<Frame> frames;
  Frame frame;
  while (reader.next(frame)) {
    ORRERY_CHECK(static_cast<std::int64_t>(frames.size()) < longest, path, " is longer than the ", longest_seconds,
                 " s to write; --seconds counts it too");
    frames.push_back(fit(model, frame));
  }
  return encode_whole_latents(model, std::move(frames));
}

std::vector<std::int32_t> encode_window(const LoadedModel& model, const std::string& path, double start_seconds,
                                        std::int64_t latents) {
  VideoReader reader = open_at_model_rate(model, path);
  const auto first = static_cast<std::int64_t>(start_seconds * model.fps() + 0.5);
  const auto wanted = static_cast<std::size_t>(decoded_frames(model.codec().config(), latents));
  std::vector<Frame> frames;
  Frame frame;
  for (std::int64_t at = 0; frames.size() < wanted && reader.next(frame); ++at)
    if (at >= first) frames.push_back(fit(model, frame));
  ORRERY_CHECK(!frames.empty(), path, " ends before ", start_seconds, " s");
  return encode_whole_latents(model, std::move(frames));
}

}  // namespace orrery::pipeline
