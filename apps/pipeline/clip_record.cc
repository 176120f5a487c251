// The record in a clip's metadata, the report, and the names and sizes of files.
#include <unistd.h>

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "apps/pipeline/generate.h"
#include "core/base/error.h"
#include "core/io/fields.h"
#include "video/io/writer.h"

namespace orrery::pipeline {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTool = "orrery generate";

Json action_json(const worlds::TimedAction& timed) {
  return Json::object({{"frame", timed.frame},
                       {"push", worlds::push_name(timed.action.push)},
                       {"u", timed.action.u},
                       {"v", timed.action.v}});
}

worlds::TimedAction read_action(const Fields& fields) {
  worlds::TimedAction timed;
  timed.frame = static_cast<int>(fields.integer("frame", {1, 1'000'000'000}));
  const std::string push = fields.text("push");
  const auto kind = action_kind(push);
  ORRERY_CHECK(kind.has_value(), fields.where("push"), " is \"", push, "\", expected an action such as push-left");
  timed.action.push = static_cast<worlds::Push>(*kind);
  timed.action.u = fields.number("u", {0, 1});
  timed.action.v = fields.number("v", {0, 1});
  return timed;
}

}  // namespace

std::string instruction_set() {
  std::string name = "baseline";
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) name = "avx2";
  if (__builtin_cpu_supports("avx512f")) name = "avx512";
#endif
  if (const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA"); limit != nullptr)
    name += std::string(" limited to ") + limit;
  return name;
}

Json to_record(const LoadedModel& model, const ClipSpec& spec, const ClipReport& report) {
  Json record = Json::object({{"tool", kTool}, {"schema", 1}, {"version", ORRERY_VERSION}, {"prompt", spec.prompt}});
  record.set("seed", spec.seed);
  record.set("seconds", spec.seconds);
  record.set("fps", spec.fps);
  record.set("sampling", Json::object({{"temperature", spec.sampling.temperature},
                                       {"top_k", spec.sampling.top_k},
                                       {"top_p", spec.sampling.top_p},
                                       {"min_p", spec.sampling.min_p},
                                       {"cfg_scale", spec.cfg_scale},
                                       {"tries", spec.tries}}));
  Json actions = Json::array();
  for (const worlds::TimedAction& timed : spec.actions) actions.push_back(action_json(timed));
  record.set("actions", std::move(actions));
  record.set("given", Json(spec.given));
  record.set("model", Json::object({{"name", model.name()}, {"sha256", model.sha256()}}));
  record.set("dtype", name_of(model.options().weights));
  record.set("device", name_of(model.options().device));
  record.set("instruction_set", instruction_set());
  record.set("native", Json::object({{"width", model.width()}, {"height", model.height()}, {"fps", model.fps()}}));
  record.set("width", report.width);
  record.set("height", report.height);
  if (!report.frames_sha256.empty()) {
    record.set("frames", report.frames);
    record.set("stopped", report.stopped);
    record.set("codes_sha256", report.codes_sha256);
    record.set("frames_sha256", report.frames_sha256);
    record.set("frame_hashes", report.frame_hashes);
  }
  return record;
}

ClipSpec spec_of_record(const Json& record, const std::string& source) {
  ORRERY_CHECK(record.is_object() && record.find("tool") != nullptr && *record.find("tool") == Json(kTool), source,
               " was not made by orrery generate: its record cannot be replayed");
  const Fields fields(record, source + ": record");
  ORRERY_CHECK(fields.integer("schema") == 1, source, ": the record's schema is ", fields.integer("schema"),
               ", expected 1");
  ClipSpec spec;
  spec.prompt = fields.text("prompt");
  spec.seed = static_cast<std::uint64_t>(fields.integer("seed", {0, std::numeric_limits<std::int64_t>::max()}));
  spec.seconds = fields.number("seconds");
  spec.fps = fields.number("fps");
  const Fields sampling = fields.object("sampling");
  spec.sampling.temperature = sampling.number("temperature");
  spec.sampling.top_k = sampling.integer("top_k");
  spec.sampling.top_p = sampling.number("top_p");
  spec.sampling.min_p = sampling.number("min_p");
  spec.cfg_scale = sampling.number("cfg_scale");
  if (sampling.has("tries")) spec.tries = sampling.integer("tries", {1, 64});  // older records have none
  for (const Fields& action : fields.objects("actions")) spec.actions.push_back(read_action(action));
  for (const std::int64_t code : fields.integers("given", {0, 1 << 30}))
    spec.given.push_back(static_cast<std::int32_t>(code));
  return spec;
}

Json to_json(const ClipReport& report, const ClipSpec& spec, const LoadedModel& model) {
  Json words = Json::array();
  for (const std::string& word : report.unknown_words) words.push_back(word);
  Json json = Json::object({{"file", report.file},
                            {"frames", report.frames},
                            {"fps", report.fps},
                            {"width", report.width},
                            {"height", report.height}});
  json.set("seconds", report.seconds);
  json.set("tokens", report.tokens);
  if (report.drafts.drafted > 0) json.set("draft_acceptance", report.drafts.acceptance());
  json.set("seed", spec.seed);
  json.set("prompt", spec.prompt);
  json.set("model", model.name());
  json.set("wall_s", report.wall_seconds);
  json.set("unknown_words", std::move(words));
  json.set("frames_sha256", report.frames_sha256);
  json.set("stopped", report.stopped);
  return json;
}

std::string default_name(const std::string& prompt, std::uint64_t seed) {
  std::string slug;
  for (const char c : prompt) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      slug += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
    if (slug.size() >= 60) break;
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return (slug.empty() ? "clip" : slug) + "-" + std::to_string(seed) + ".mp4";
}

void check_output(const std::string& path, bool force) {
  ORRERY_CHECK(can_write_video(path), "cannot write ", path,
               ": expected a name ending in .mp4, .mov, .m4v, .mkv, .webm, .gif or .png");
  const fs::path folder = fs::path(path).parent_path().empty() ? fs::path(".") : fs::path(path).parent_path();
  ORRERY_CHECK(fs::is_directory(folder), "cannot write ", path, ": there is no folder ", folder.string());
  ORRERY_CHECK(access(folder.c_str(), W_OK) == 0, "cannot write ", path, ": the folder ", folder.string(),
               " is not writable");
  ORRERY_CHECK(!fs::is_directory(path), "cannot write ", path, ": it is a folder");
  for (const std::string& file : {path, sidecar_path(path)})
    ORRERY_CHECK(force || !fs::exists(file), file, " exists; --force replaces it");
}

void output_size(const LoadedModel& model, bool native, int& width, int& height) {
  ORRERY_CHECK(!native || (width == 0 && height == 0), "--native and a size contradict each other");
  if (native) {
    width = model.width(), height = model.height();
    return;
  }
  const double shape = static_cast<double>(model.width()) / model.height();
  if (width == 0 && height == 0) (shape >= 1 ? width : height) = 512;
  if (width == 0) width = static_cast<int>(std::lround(height * shape));
  if (height == 0) height = static_cast<int>(std::lround(width / shape));
  ORRERY_CHECK(width >= 16 && height >= 16 && width <= 4096 && height <= 4096, "the size is ", width, "x", height,
               ", expected 16 to 4096 pixels a side");
  ORRERY_CHECK(std::abs(width - height * shape) <= 1 || std::abs(height - width / shape) <= 1, "the size is ", width,
               "x", height, ", expected the shape of the model's ", model.width(), "x", model.height());
}

}  // namespace orrery::pipeline
