#include "apps/pipeline/data_set.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "physics_eval/worlds/annotations_json.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::pipeline {
namespace {

namespace fs = std::filesystem;

Json recipe(const MakeDataOptions& options) {
  const worlds::SampleOptions& sample = options.sample;
  Json json = Json::object({{"schema", 1},
                            {"seed", options.seed},
                            {"count", options.count},
                            {"format", options.format},
                            {"width", sample.width},
                            {"height", sample.height},
                            {"fps", sample.fps},
                            {"frames", sample.frames},
                            {"scenes", sample.scenes}});
  json.set("split", sample.split == worlds::Split::in_distribution ? "in" : "out");
  json.set("action_share", sample.action_share);
  json.set("action_stride", sample.action_stride);
  json.set("action_rows", sample.action_rows);
  json.set("action_gap", sample.action_gap);
  return json;
}

// Writes data.json, or compares with the one that is there.
void settle_recipe(const MakeDataOptions& options) {
  const fs::path path = fs::path(options.folder) / "data.json";
  const Json wanted = recipe(options);
  if (!fs::exists(path)) {
    write_file(path, wanted.dump(2) + "\n");
    return;
  }
  const Json have = Json::read(path);
  for (const JsonMember& member : wanted.as_object()) {
    const Json* found = have.find(member.key);
    // Read back, so that numbers compare as they are written.
    const std::string mine = member.value.dump(), theirs = found == nullptr ? "nothing" : found->dump();
    ORRERY_CHECK(mine == theirs, path.string(), ": this set was made with ", member.key, " ", theirs, ", not ", mine,
                 "; use another folder");
  }
}

Json clip_line(const MakeDataOptions& options, std::uint64_t index, const worlds::ClipSample& sample) {
  const std::string stem = clip_stem(index);
  Json actions = Json::array(), parameters = Json::object();
  for (std::size_t frame = 0; frame < sample.actions.size(); ++frame) {
    const worlds::Action& action = sample.actions[frame];
    if (action.push == worlds::Push::none) continue;
    actions.push_back(
        Json::object({{"frame", frame}, {"action", worlds::push_name(action.push)}, {"u", action.u}, {"v", action.v}}));
  }
  for (const auto& [name, value] : sample.annotations.parameters) parameters.set(name, value);
  Json line = Json::object({{"file", stem + "." + options.format},
                            {"annotations", stem + ".json"},
                            {"caption", sample.caption},
                            {"scene", sample.scene},
                            {"seed", sample.annotations.seed},
                            {"index", index},
                            {"frames", sample.actions.size()},
                            {"fps", options.sample.fps},
                            {"width", options.sample.width},
                            {"height", options.sample.height}});
  line.set("parameters", std::move(parameters));
  line.set("actions", std::move(actions));
  return line;
}

bool is_there(const MakeDataOptions& options, std::uint64_t index) {
  return fs::exists(fs::path(options.folder) / (clip_stem(index) + ".json"));
}

void make_clip(const MakeDataOptions& options, std::uint64_t index) {
  worlds::SampleOptions sample_options = options.sample;
  sample_options.annotate = true;
  const worlds::ClipSample sample = worlds::sample_clip(options.seed, index, sample_options);
  const fs::path stem = fs::path(options.folder) / clip_stem(index);
  WriteOptions write;
  write.fps = options.sample.fps;
  write.sidecar = false;
  VideoWriter writer(stem.string() + "." + options.format, options.sample.width, options.sample.height, write);
  for (const Frame& frame : sample.frames) writer.write(frame);
  writer.close();
  Json truth = worlds::to_json(sample.annotations);
  // The clip's line travels with its ground truth, so that clips.jsonl can be put together by whoever comes last.
  truth.set("clip", clip_line(options, index, sample));
  write_file(stem.string() + ".json", truth.dump() + "\n");
}

// What a killed run left behind: hidden temporaries of the clips that are made again now.
void sweep(const MakeDataOptions& options, const std::vector<std::uint64_t>& missing) {
  std::set<std::string> folders, names;
  for (const std::uint64_t index : missing) {
    const fs::path stem = fs::path(options.folder) / clip_stem(index);
    folders.insert(stem.parent_path().string());
    names.insert("." + stem.filename().string());
  }
  for (const std::string& folder : folders) {
    std::vector<fs::path> stale;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name[0] == '.' && names.count(name.substr(0, name.find('.', 1))) != 0) stale.push_back(entry.path());
    }
    for (const fs::path& path : stale) fs::remove(path);
  }
}

void write_lines(const MakeDataOptions& options) {
  AtomicFile file(fs::path(options.folder) / "clips.jsonl");
  for (std::uint64_t index = 0; index < options.count; ++index) {
    const fs::path path = fs::path(options.folder) / (clip_stem(index) + ".json");
    const Json truth = Json::read(path);
    const Json* line = truth.find("clip");
    ORRERY_CHECK(line != nullptr, path.string(), " has no \"clip\", expected a ground truth that data make wrote");
    file.write(line->dump() + "\n");
  }
  file.commit();
}

std::map<std::string, std::string> read_captions(const fs::path& path) {
  std::map<std::string, std::string> captions;
  if (!fs::exists(path)) return captions;
  const std::string text = read_file(path);
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin), where = path.string() + ":" + std::to_string(++number);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json json = Json::parse(line, where);
    const Json *file = json.find("file"), *caption = json.find("caption");
    ORRERY_CHECK(file != nullptr && caption != nullptr, where, ": expected {\"file\": …, \"caption\": …}");
    captions[file->as_string()] = caption->as_string();
  }
  return captions;
}

// One line of text, trimmed.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  const auto first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// The line of one video; throws InputError with the reason it cannot be taken.
Json import_one(const fs::path& folder, const std::string& name, const std::map<std::string, std::string>& captions) {
  const auto listed = captions.find(name);
  const fs::path text = fs::path(folder / name).replace_extension(".txt");
  const std::string caption =
      one_line(listed != captions.end() ? listed->second : (fs::exists(text) ? read_file(text) : ""));
  ORRERY_CHECK(!caption.empty(), name, " has no caption: expected it in ", text.filename().string(),
               " or captions.jsonl");
  VideoReader reader((folder / name).string());
  Frame frame;
  std::int64_t frames = 0;
  while (reader.next(frame)) ++frames;
  Json line = Json::object({{"file", name},
                            {"caption", caption},
                            {"frames", frames},
                            {"fps", reader.info().fps},
                            {"width", reader.info().width},
                            {"height", reader.info().height}});
  const fs::path truth = fs::path(folder / name).replace_extension(".json");
  if (fs::exists(truth) && Json::read(truth).find("metres_per_pixel") != nullptr)
    line.set("annotations", fs::relative(truth, folder).generic_string());
  return line;
}

}  // namespace

std::string clip_stem(std::uint64_t index) {
  char text[64];
  std::snprintf(text, sizeof text, "clips/%03llu/%06llu", static_cast<unsigned long long>(index / 1000),
                static_cast<unsigned long long>(index));
  return text;
}

DataReport make_data_set(const MakeDataOptions& options) {
  ORRERY_CHECK(options.count >= 1, "a data set of ", options.count, " clips, expected at least 1");
  ORRERY_CHECK(options.shards >= 1 && options.shard < options.shards, "shard ", options.shard, " of ", options.shards,
               ", expected 0…n-1 of n");
  ORRERY_CHECK(options.format == "mp4" || options.format == "mkv", "format '", options.format,
               "', expected mp4 or mkv");
  std::error_code failed;
  fs::create_directories(options.folder, failed);
  ORRERY_CHECK(!failed, options.folder, " cannot be made: ", failed.message());
  settle_recipe(options);
  DataReport report;
  std::vector<std::uint64_t> missing;
  for (std::uint64_t index = options.shard; index < options.count; index += options.shards) {
    fs::create_directories((fs::path(options.folder) / clip_stem(index)).parent_path());
    is_there(options, index) ? ++report.found : (missing.push_back(index), 0);
  }
  sweep(options, missing);
  Progress progress("data make", "clips", static_cast<std::int64_t>(missing.size()));
  std::mutex guard;
  parallel_for(static_cast<std::int64_t>(missing.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (options.stop != nullptr && options.stop->load()) return;
      make_clip(options, missing[static_cast<std::size_t>(i)]);
      const std::lock_guard<std::mutex> lock(guard);
      progress.update(static_cast<std::int64_t>(++report.made));
    }
  });
  for (std::uint64_t index = 0; index < options.count; ++index) report.left += is_there(options, index) ? 0 : 1;
  if (report.left == 0) write_lines(options);
  return report;
}

DataReport import_data_set(const std::string& folder) {
  ORRERY_CHECK(fs::is_directory(folder), folder, " is no folder, expected one with videos in it");
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && has_video_extension(entry.path().string()))
      names.push_back(fs::relative(entry.path(), folder).generic_string());
  }
  ORRERY_CHECK(!names.empty(), folder, " has no videos in it");
  std::sort(names.begin(), names.end());
  const auto captions = read_captions(fs::path(folder) / "captions.jsonl");
  DataReport report;
  Progress progress("data import", "videos", static_cast<std::int64_t>(names.size()));
  std::string lines;
  for (std::size_t i = 0; i < names.size(); ++i) {
    try {
      lines += import_one(folder, names[i], captions).dump() + "\n";
      ++report.made;
    } catch (const InputError& error) {
      report.refused.emplace_back(names[i], error.what());
    }
    progress.update(static_cast<std::int64_t>(i + 1));
  }
  ORRERY_CHECK(report.made > 0, folder, ": none of ", names.size(),
               " videos can be taken; the first: ", report.refused[0].second);
  write_file(fs::path(folder) / "clips.jsonl", lines);
  return report;
}

}  // namespace orrery::pipeline
