#include "viewer/state/sheet.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"

namespace orrery::viewer {

namespace fs = std::filesystem;

namespace {

std::string text_of(const Json& line, const char* key) {
  const Json* value = line.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

// A line of manifest.jsonl (batch) or clips.jsonl (data set). A name that leads out of the folder is not followed,
// but for merged manifests, whose files lie beside it.
SheetClip clip_of(const fs::path& folder, const Json& line) {
  SheetClip clip;
  const std::string file = text_of(line, "file");
  clip.name = text_of(line, "id");
  if (clip.name.empty()) clip.name = fs::path(file).stem().string();
  clip.words = text_of(line, "prompt");
  if (clip.words.empty()) clip.words = text_of(line, "caption");
  if (const Json* score = line.find("score"); score != nullptr && score->is_number()) clip.score = score->as_number();
  if (!file.empty() && text_of(line, "status") != "failed") {
    clip.path = (folder / file).string();
  } else {
    clip.reason = text_of(line, "reason");
    if (clip.reason.empty()) clip.reason = "no file";
  }
  return clip;
}

void add_listed(const fs::path& folder, const char* list, std::vector<SheetClip>& clips) {
  std::error_code missing;
  if (!fs::exists(folder / list, missing)) return;
  const std::string text = read_file(folder / list);
  std::size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin)
      clips.push_back(clip_of(folder, Json::parse(std::string_view(text).substr(begin, end - begin),
                                                  std::string(list) + ":" + std::to_string(number))));
    begin = end + 1;
  }
}

std::vector<SheetClip> list_clips(const fs::path& folder) {
  std::vector<SheetClip> clips;
  add_listed(folder, "manifest.jsonl", clips);
  if (clips.empty()) add_listed(folder, "clips.jsonl", clips);
  std::set<std::string> known;
  for (const SheetClip& clip : clips)
    if (!clip.path.empty()) known.insert(fs::path(clip.path).filename().string());
  std::vector<fs::path> others;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    if (name[0] != '.' && has_video_extension(name) && known.count(name) == 0 && entry->is_regular_file(gone))
      others.push_back(entry->path());
  }
  ORRERY_CHECK(!error, "cannot read the folder ", folder.string(), ": ", error.message());
  std::sort(others.begin(), others.end());
  for (const fs::path& path : others) {
    SheetClip clip;
    clip.path = path.string(), clip.name = path.stem().string();
    clips.push_back(std::move(clip));
  }
  ORRERY_CHECK(!clips.empty(), "no videos in ", folder.string());
  return clips;
}

Frame middle_frame(const std::string& path) {
  ReadOptions tolerant;
  tolerant.tolerate_damage = true;
  VideoReader reader(path, tolerant);
  Frame frame;
  if (reader.info().seconds > 0) reader.seek(reader.info().seconds / 2);
  if (!reader.next(frame)) {
    VideoReader again(path, tolerant);  // cut short before its middle
    ORRERY_CHECK(again.next(frame), path, " has no frame");
  }
  int width = Sheet::kSide, height = Sheet::kSide;
  fit_size(frame.width(), frame.height(), width, height);
  if (frame.width() <= width && frame.height() <= height) return frame;
  return resize(frame, width, height, Filter::area);
}

struct Thumb {
  Picture picture;
  std::string trouble;
};

}  // namespace

struct Sheet::State {
  std::string folder;
  std::size_t budget;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::shared_ptr<const std::vector<SheetClip>> clips;
  std::string error;
  std::map<std::size_t, Thumb> thumbs;
  std::size_t bytes = 0, first = 0, last = 0;
  bool stop = false;
  std::thread thread;

  void run();
  bool find_missing(std::size_t& clip) const;
  void keep(std::size_t clip, Thumb thumb);
};

bool Sheet::State::find_missing(std::size_t& clip) const {
  for (clip = first; clip < std::min(last, clips->size()); ++clip)
    if (thumbs.count(clip) == 0) return true;
  return false;
}

void Sheet::State::keep(std::size_t clip, Thumb thumb) {
  if (thumb.picture) bytes += thumb.picture->bytes().size();
  thumbs[clip] = std::move(thumb);
  while (bytes > budget) {
    // The farthest from where we look goes first; what is looked at stays.
    const auto low = thumbs.begin(), high = std::prev(thumbs.end());
    const std::size_t before = low->first < first ? first - low->first : 0;
    const std::size_t after = high->first >= last ? high->first - last + 1 : 0;
    if (before == 0 && after == 0) return;
    const auto victim = before > after ? low : high;
    if (victim->second.picture) bytes -= victim->second.picture->bytes().size();
    thumbs.erase(victim);
  }
}

void Sheet::State::run() {
  set_thread_count(1);
  try {
    auto found = std::make_shared<const std::vector<SheetClip>>(list_clips(folder));
    std::unique_lock lock(mutex);
    clips = std::move(found);
    changed.notify_all();
    for (;;) {
      std::size_t clip = 0;
      changed.wait(lock, [&] { return stop || find_missing(clip); });
      if (stop) return;
      const SheetClip wanted = (*clips)[clip];
      lock.unlock();
      Thumb thumb;
      try {
        if (wanted.path.empty()) {
          thumb.trouble = wanted.reason;
        } else {
          thumb.picture = std::make_shared<const Frame>(middle_frame(wanted.path));
        }
      } catch (const std::exception& failure) {
        thumb.trouble = failure.what();
      }
      lock.lock();
      keep(clip, std::move(thumb));
      changed.notify_all();
    }
  } catch (const std::exception& failure) {
    const std::lock_guard lock(mutex);
    error = failure.what();
    changed.notify_all();
  }
}

Sheet::Sheet(const std::string& folder, std::size_t budget) : state_(std::make_unique<State>()) {
  state_->folder = folder, state_->budget = budget;
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Sheet::~Sheet() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

const std::string& Sheet::folder() const { return state_->folder; }

bool Sheet::listing() const {
  const std::lock_guard lock(state_->mutex);
  return state_->clips == nullptr && state_->error.empty();
}

std::string Sheet::error() const {
  const std::lock_guard lock(state_->mutex);
  return state_->error;
}

std::shared_ptr<const std::vector<SheetClip>> Sheet::clips() const {
  const std::lock_guard lock(state_->mutex);
  return state_->clips;
}

void Sheet::attend(std::size_t first, std::size_t last) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->first == first && state_->last == last) return;
    state_->first = first, state_->last = last;
  }
  state_->changed.notify_all();
}

Picture Sheet::picture(std::size_t clip) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->thumbs.find(clip);
  return found == state_->thumbs.end() ? nullptr : found->second.picture;
}

std::string Sheet::trouble(std::size_t clip) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->thumbs.find(clip);
  return found == state_->thumbs.end() ? std::string() : found->second.trouble;
}

std::size_t Sheet::held() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

void Sheet::settle() const {
  std::unique_lock lock(state_->mutex);
  std::size_t clip = 0;
  state_->changed.wait(
      lock, [&] { return !state_->error.empty() || (state_->clips != nullptr && !state_->find_missing(clip)); });
}

}  // namespace orrery::viewer
