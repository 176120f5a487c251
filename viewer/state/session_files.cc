// The session's files: what is opened, a folder's contact sheet, recordings and saved clips.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/base/error.h"
#include "core/io/json.h"
#include "video/io/reader.h"
#include "viewer/state/session.h"

namespace orrery::viewer {

namespace fs = std::filesystem;

// --- Opening ---

void Session::open(const std::string& path) {
  std::error_code none;
  if (fs::is_directory(path, none)) {
    sheet_ = std::make_unique<Sheet>(path);
    show_sheet();
  } else {
    watch(std::make_shared<FileReel>(path), nullptr);
    shown.tab = Tab::clip, shown.tab_asked = true;
  }
  Settings::remember(settings_.recent_files, fs::absolute(path).lexically_normal().string());
}

void Session::open_beside(const std::string& path) {
  std::error_code none;
  if (!reel_ || fs::is_directory(path, none)) return open(path);
  other_ = std::make_shared<FileReel>(path);
  other_branch_ = -1;
  view_ = View::side_by_side;
  Settings::remember(settings_.recent_files, fs::absolute(path).string());
}

std::string Session::open_path() const {
  const auto* file = dynamic_cast<const FileReel*>(reel_.get());
  return file == nullptr ? std::string() : file->path();
}

void Session::toggle_sheet() {
  if (shown.sheet && !watching()) return;  // nothing to go back to
  if (shown.sheet) {
    shown.sheet = false;
    return;
  }
  const std::string path = open_path();
  if (sheet_ == nullptr && path.empty())
    return notify(Notice::Kind::info, "A contact sheet shows a folder of clips: open one (Ctrl+O), or drop it here");
  if (sheet_ == nullptr) {
    const fs::path folder = fs::path(path).parent_path();
    sheet_ = std::make_unique<Sheet>(folder.empty() ? "." : folder.string());
  }
  show_sheet();
}

// What it covers rests meanwhile.
void Session::show_sheet() {
  shown.sheet = true;
  playhead_.pause();
}

void Session::open_clip(std::size_t clip) {
  const auto clips = sheet_ ? sheet_->clips() : nullptr;
  if (clips == nullptr || clip >= clips->size() || (*clips)[clip].path.empty()) return;
  watch(std::make_shared<FileReel>((*clips)[clip].path), nullptr);
  shown.tab = Tab::clip, shown.tab_asked = true;
}

// From the open file to the next one that has a file.
void Session::step_clip(int by) {
  const auto clips = sheet_ ? sheet_->clips() : nullptr;
  if (clips == nullptr) return notify(Notice::Kind::info, "Open a folder first (Ctrl+O): its clips follow each other");
  const std::string path = open_path();
  const auto count = static_cast<std::int64_t>(clips->size());
  const auto here = std::find_if(clips->begin(), clips->end(), [&](const SheetClip& one) { return one.path == path; });
  std::int64_t at = here != clips->end() ? here - clips->begin() : by > 0 ? -1 : count;
  for (at += by; at >= 0 && at < count; at += by)
    if (!(*clips)[static_cast<std::size_t>(at)].path.empty()) return open_clip(static_cast<std::size_t>(at));
  notify(Notice::Kind::info, by > 0 ? "That was the folder's last clip" : "That was the folder's first clip");
}

// --- Recording and saving ---

std::string Session::fresh_name(const std::string& stem, const std::string& extension) const {
  for (int number = 1;; ++number) {
    const fs::path path = fs::path(options_.folder) / (stem + "-" + std::to_string(number) + extension);
    std::error_code error;
    if (!fs::exists(path, error)) return path.string();
  }
}

std::string Session::record_metadata() const {
  const ReelInfo now = info();
  Json record = Json::object({{"tool", "orrery-viewer"}, {"schema", 1}, {"title", now.title}});
  record.set("kind", now.kind == ReelKind::file ? "file" : now.kind == ReelKind::engine ? "engine" : "model");
  if (run_) {
    const BranchInfo branch = run_->branches()[static_cast<std::size_t>(run_->current())];
    record.set("prompt", branch.settings.prompt);
    record.set("seed", branch.settings.seed);
    Json actions = Json::array();
    for (const worlds::TimedAction& timed : branch.actions)
      actions.push_back(Json::object({{"frame", timed.frame},
                                      {"push", worlds::push_name(timed.action.push)},
                                      {"u", timed.action.u},
                                      {"v", timed.action.v}}));
    record.set("actions", std::move(actions));
  }
  for (const auto& [name, value] : now.facts)
    if (record.find(name) == nullptr && name != "record") record.set(name, value);
  return record.dump();
}

void Session::toggle_recording() {
  if (recording_) {
    recording_->end();
    ending_.push_back(std::move(recording_));
    return;
  }
  if (!reel_) return notify(Notice::Kind::info, "Nothing to record yet");
  SaveOptions options;
  options.path = fresh_name("recording", ".mp4");
  options.fps = info().fps, options.metadata = record_metadata();
  recording_ = std::make_unique<SaveJob>(options);
  recorded_ = -1;
  playhead_.play();
}

// A recording takes each frame that the playhead comes to, as the view shows it.
void Session::feed_recording() {
  for (auto job = ending_.begin(); job != ending_.end();) {
    if (!(*job)->done()) {
      ++job;
      continue;
    }
    const std::string error = (*job)->error();
    if (error.empty()) {
      ++saved_;
      notify(Notice::Kind::info, "Saved " + (*job)->path() + " (" + std::to_string((*job)->frames()) + " frames)");
    } else {
      notify(Notice::Kind::error, error);
    }
    job = ending_.erase(job);
  }
  if (saving_ && saving_->done()) {
    ending_.push_back(std::move(saving_));
  }
  if (!recording_ || playhead_.frame() == recorded_) return;
  const Picture picture = composed();
  if (!picture) return;
  recorded_ = playhead_.frame();
  recording_->push(*picture);
  if (recording_->done()) toggle_recording();  // it failed: say why
}

void Session::save_clip() {
  if (!reel_) return notify(Notice::Kind::info, "Nothing to save yet");
  if (saving_) return notify(Notice::Kind::info, "A clip is being saved already");
  SaveOptions options;
  const ReelInfo now = info();
  options.path = fresh_name("clip", ".mp4");
  options.fps = now.fps, options.metadata = record_metadata();
  if (run_) {
    saving_ = std::make_unique<SaveJob>(
        options, [run = run_, branch = run_->current(), i = now.first, end = now.frames]() mutable {
          const Picture picture = i < end ? run->picture(branch, i++) : nullptr;
          return picture ? std::optional<Frame>(*picture) : std::nullopt;
        });
  } else {
    const auto* file = dynamic_cast<const FileReel*>(reel_.get());
    auto reader = std::make_shared<std::optional<VideoReader>>();
    saving_ = std::make_unique<SaveJob>(options, [reader, path = file->path()]() -> std::optional<Frame> {
      ReadOptions tolerant;
      tolerant.tolerate_damage = true;
      if (!reader->has_value()) reader->emplace(path, tolerant);
      Frame frame;
      return (*reader)->next(frame) ? std::optional<Frame>(std::move(frame)) : std::nullopt;
    });
  }
}

}  // namespace orrery::viewer
