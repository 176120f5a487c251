#include "apps/pipeline/replay.h"

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/io/fields.h"
#include "physics_eval/metrics/image.h"
#include "video/frames/frame_hash.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::pipeline {

namespace fs = std::filesystem;

namespace {

// The same extension means the same encoder.
std::string scratch_name(const std::string& path, const std::string& scratch) {
  return (fs::path(scratch) / ("again" + fs::path(path).extension().string())).string();
}

struct Differences {
  std::int64_t first = -1, frames = 0;
  double psnr = 0;
};

Differences compare_files(const std::string& path, const std::string& again) {
  VideoReader found(path), made(again);
  Differences result;
  Frame a, b;
  for (;;) {
    const bool has_found = found.next(a), has_made = made.next(b);
    if (!has_found && !has_made) break;
    if (has_found != has_made || a.width() != b.width() || a.height() != b.height()) {
      if (result.first < 0) result.first = result.frames;
      break;
    }
    if (a != b && result.first < 0) result.first = result.frames;
    result.psnr += a == b ? 100 : psnr(a, b);
    ++result.frames;
  }
  if (result.frames > 0) result.psnr /= static_cast<double>(result.frames);
  return result;
}

std::string rounded(double value) {
  std::string text = std::to_string(value);
  return text.substr(0, text.find('.') + 2);
}

}  // namespace

Json read_record(const std::string& path) {
  std::string text = read_metadata(path);
  ORRERY_CHECK(!text.empty(), path, " has no record of how it was made, neither inside nor beside it");
  Json record = Json::parse(text, path + ": metadata");
  // MKV and WebM hold their copy from before the first frame; what was known only afterwards is in the sidecar.
  if (record.find("frames_sha256") == nullptr && fs::exists(sidecar_path(path)))
    record = Json::read(sidecar_path(path));
  return record;
}

ReplayReport replay_clip(const LoadedModel& model, const std::string& path, const std::string& scratch,
                         const ClipProgress& progress) {
  const Json record = read_record(path);
  ClipSpec spec = spec_of_record(record, path);
  const Fields fields(record, path + ": record");
  const std::string wanted = fields.object("model").text("sha256");
  ORRERY_CHECK(wanted == model.sha256(), path, " was made by the model ", fields.object("model").text("name"),
               " with weights ", wanted.substr(0, 12), "; those of ", model.folder(), " are ",
               model.sha256().substr(0, 12), "; -m names another folder");
  const std::int64_t frames = fields.integer("frames", {1, std::int64_t{1} << 40});
  if (fields.boolean("stopped")) spec.seconds = static_cast<double>(frames) / spec.fps;
  ClipOutput output;
  output.path = scratch_name(path, scratch);
  output.width = static_cast<int>(fields.integer("width", {1, 16384}));
  output.height = static_cast<int>(fields.integer("height", {1, 16384}));
  const ClipReport made = generate_clip(model, spec, output, progress);
  ReplayReport report;
  if (made.stopped) {
    report.answer = "stopped";
    return report;
  }
  const std::string hashes = fields.text("frame_hashes");
  const auto first =
      std::mismatch(hashes.begin(), hashes.end(), made.frame_hashes.begin(), made.frame_hashes.end()).first;
  const bool same_frames = made.frames_sha256 == fields.text("frames_sha256");
  report.same_codes = made.codes_sha256 == fields.text("codes_sha256");
  const Differences files = compare_files(path, output.path);
  report.frames = files.frames, report.psnr = files.psnr;
  report.differs_from = same_frames ? files.first : (first - hashes.begin()) / 8;
  report.identical = same_frames && report.same_codes && files.first < 0;
  const std::string from = "differs from frame " + std::to_string(report.differs_from);
  if (report.identical) {
    report.answer = "identical";
  } else if (same_frames) {
    report.answer =
        from + ": the file's pictures are not those that its record makes (PSNR " + rounded(report.psnr) + " dB)";
  } else if (report.same_codes) {
    report.answer = from + ": same tokens, PSNR " + rounded(report.psnr) + " dB";
  } else {
    report.answer = from + ": other tokens, PSNR " + rounded(report.psnr) + " dB";
  }
  if (const std::string was = fields.text("instruction_set"); !same_frames && was != instruction_set())
    report.answer += "; made on " + was + ", here is " + instruction_set();
  const std::string here = name_of(model.options().device);
  if (const std::string was = fields.text("device"); !same_frames && was != here)
    report.answer += "; made on " + was + ", here is " + here;
  return report;
}

}  // namespace orrery::pipeline
