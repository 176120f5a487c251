#include "apps/pipeline/code_file.h"

#include <cmath>
#include <cstring>
#include <deque>

#include "apps/pipeline/frame_sink.h"
#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/parameters_file.h"
#include "core/io/safetensors.h"
#include "physics_eval/metrics/image.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"

namespace orrery::pipeline {

namespace {

constexpr const char* kKey = "orrery_codes";

// Frames in their order against what the codes decode to.
class RoundTrip {
 public:
  RoundTrip(const LatentCodec& codec, std::int64_t rows, std::int64_t columns) : decoder_(codec, rows, columns) {}
  void original(const Frame& frame) { waiting_.push_back(frame); }
  void codes(std::span<const std::int32_t> codes) {
    for (const Frame& frame : decoder_.push(codes)) {
      if (waiting_.empty()) return;  // what fills up the last latent frame
      psnr_ += psnr(waiting_.front(), frame);
      if (frame.width() >= 11 && frame.height() >= 11) ssim_ += ssim(waiting_.front(), frame);
      waiting_.pop_front();
      ++frames_;
    }
  }
  void report(CodeReport& report) const {
    report.psnr = psnr_ / static_cast<double>(frames_);
    report.ssim = ssim_ / static_cast<double>(frames_);
  }

 private:
  StreamingDecoder decoder_;
  std::deque<Frame> waiting_;
  double psnr_ = 0, ssim_ = 0;
  std::int64_t frames_ = 0;
};

double bits(const LatentCodec& codec, const CodeReport& report) {
  const double codes = static_cast<double>(report.latents * report.rows * report.columns);
  return codes * std::log2(static_cast<double>(codec.config().codes())) /
         (static_cast<double>(report.frames) * report.width * report.height);
}

Frame sized(const Frame& frame, int width, int height) {
  if (frame.width() == width && frame.height() == height) return frame;
  return resize(frame, width, height, Filter::area);
}

}  // namespace

CodeReport encode_video(const LatentCodec& codec, const std::string& video, const std::string& path, int width,
                        int height, double fps, const std::function<void(std::int64_t)>& progress) {
  ReadOptions read;
  read.fps = fps;
  VideoReader reader(video, read);
  const auto cell = static_cast<int>(codec.config().space_factor);
  CodeReport report;
  report.width = width > 0 ? width : reader.info().width;
  report.height = height > 0 ? height : reader.info().height;
  report.fps = fps > 0 ? fps : reader.info().fps > 0 ? reader.info().fps : 24;
  ORRERY_CHECK(report.width % cell == 0 && report.height % cell == 0, video, " is ", report.width, "x", report.height,
               ", expected sides that divide by ", cell, "; -W and -H scale it");
  report.rows = report.height / cell, report.columns = report.width / cell;
  StreamingEncoder encoder(codec);
  RoundTrip round_trip(codec, report.rows, report.columns);
  std::vector<std::int32_t> codes;
  const auto take = [&](const std::vector<std::int32_t>& part) {
    if (part.empty()) return;
    codes.insert(codes.end(), part.begin(), part.end());
    round_trip.codes(part);
    ++report.latents;
  };
  Frame frame;
  while (reader.next(frame)) {
    const Frame fitted = sized(frame, report.width, report.height);
    round_trip.original(fitted);
    take(encoder.push(fitted));
    ++report.frames;
    if (progress) progress(report.frames);
  }
  take(encoder.finish());
  round_trip.report(report);
  report.bits_per_pixel = bits(codec, report);
  const Json header = Json::object(
      {{"frames", report.frames}, {"fps", report.fps}, {"codec", Json::parse(to_json(codec.config()), "codec")}});
  save_tensors(path, {{"codes", Tensor::from(codes, {report.latents, report.rows, report.columns})}},
               {{kKey, header.dump()}});
  return report;
}

CodeReport decode_video(const LatentCodec& codec, const std::string& path, const std::string& video, int width,
                        int height, const std::function<void(std::int64_t)>& progress) {
  const Safetensors file = Safetensors::open(path);
  const SafetensorsEntry& entry = file.at("codes");
  ORRERY_CHECK(entry.dtype == FileDType::I32 && entry.shape.size() == 3 && entry.numel() > 0, path, ": codes is ",
               entry.describe(), ", expected I32 [latent frames, rows, columns]");
  ORRERY_CHECK(file.metadata().count(kKey) > 0, path, " was not written by orrery encode");
  const Json header = Json::parse(file.metadata().at(kKey), path + ": " + kKey);
  const Fields fields(header, path + ": " + kKey);
  ORRERY_CHECK(fields.raw("codec") == Json::parse(to_json(codec.config()), "codec"), path,
               " was written by another codec: ", fields.raw("codec").dump());
  CodeReport report;
  report.latents = entry.shape[0], report.rows = entry.shape[1], report.columns = entry.shape[2];
  report.fps = fields.number("fps", {0.001, 1000});
  const std::int64_t most = decoded_frames(codec.config(), report.latents);
  const std::int64_t frames = fields.integer("frames", {1, most});
  report.width = static_cast<int>(report.columns * codec.config().space_factor);
  report.height = static_cast<int>(report.rows * codec.config().space_factor);
  std::vector<std::int32_t> codes(static_cast<std::size_t>(entry.numel()));
  std::memcpy(codes.data(), entry.data.data(), entry.data.size());
  for (const std::int32_t code : codes)
    ORRERY_CHECK(code >= 0 && code < codec.config().codes(), path, ": a code is ", code, ", expected 0 to ",
                 codec.config().codes() - 1);
  WriteOptions write;
  write.fps = report.fps;
  FrameSink sink(video, width > 0 ? width : report.width, height > 0 ? height : report.height, write);
  StreamingDecoder decoder(codec, report.rows, report.columns);
  const auto cells = static_cast<std::size_t>(report.rows * report.columns);
  for (std::size_t latent = 0; latent < static_cast<std::size_t>(report.latents); ++latent) {
    for (const Frame& frame : decoder.push(std::span<const std::int32_t>(codes).subspan(latent * cells, cells))) {
      if (report.frames == frames) break;
      sink.push(frame);
      ++report.frames;
    }
    if (progress) progress(report.frames);
  }
  sink.finish("");
  report.bits_per_pixel = bits(codec, report);
  return report;
}

}  // namespace orrery::pipeline
