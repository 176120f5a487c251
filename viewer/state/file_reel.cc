#include "viewer/state/file_reel.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/io/json.h"
#include "video/frames/resize.h"
#include "video/io/reader.h"

namespace orrery::viewer {

namespace {

// Reading on is cheaper than a seek, which starts at a key picture, up to so many frames.
constexpr std::int64_t kReadOn = 24;

std::string rounded(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void add_record(const std::string& metadata, std::vector<std::pair<std::string, std::string>>& facts) {
  if (metadata.empty()) return;
  try {
    const Json record = Json::parse(metadata, "record");
    if (!record.is_object()) return;
    for (const JsonMember& member : record.as_object()) {
      if (member.key == "frame_hashes" || member.key == "given") continue;  // hundreds of digits
      facts.emplace_back(member.key, member.value.is_string() ? member.value.as_string() : member.value.dump());
    }
  } catch (const Error& error) {
    facts.emplace_back("record", std::string("unreadable: ") + error.what());
  }
}

// Of a stand-in: enough to see where one is.
Frame shrunk(const Frame& frame) {
  constexpr int kSide = 160;
  int width = kSide, height = kSide;
  fit_size(frame.width(), frame.height(), width, height);
  return frame.width() <= width ? frame : resize(frame, width, height, Filter::area);
}

}  // namespace

struct FileReel::State {
  std::string path;
  std::size_t budget;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  ReelInfo info;
  bool counted = false;  // info.frames is what was read, not what the container says
  std::map<std::int64_t, Picture> frames;
  std::size_t bytes = 0;
  std::map<std::int64_t, Picture> small;  // stand-ins
  int small_tried = 0;
  std::int64_t target = 0;
  std::atomic<bool> stop{false};
  std::thread thread;

  void run();
  void open(std::optional<VideoReader>& reader, double& fps);
  void serve(VideoReader& reader, double fps);
  std::int64_t next_missing(std::size_t frame_bytes) const;
  std::int64_t next_small(std::size_t frame_bytes) const;
  void keep(std::int64_t index, Frame frame);
};

void FileReel::State::open(std::optional<VideoReader>& reader, double& fps) {
  ReadOptions options;
  options.tolerate_damage = true;
  reader.emplace(path, options);
  const VideoInfo stored = reader->info();
  fps = stored.fps;
  if (fps > 0) {  // frames by number: the grid of the mean rate
    options.fps = fps;
    reader.emplace(path, options);
  }
  std::vector<std::pair<std::string, std::string>> facts = {
      {"file", std::filesystem::path(path).filename().string()},
      {"size", std::to_string(stored.width) + " x " + std::to_string(stored.height)},
      {"rate", fps > 0 ? rounded(fps, "%.4g") + " frames a second" : "a still"},
      {"codec", stored.codec + ", " + stored.pixel_format},
      {"container", stored.container}};
  if (stored.seconds > 0) facts.emplace_back("length", rounded(stored.seconds, "%.2f s"));
  try {
    add_record(read_metadata(path), facts);
  } catch (const InputError&) {
    add_record(stored.metadata, facts);  // a damaged file, which is shown as far as it goes
  }
  const std::lock_guard lock(mutex);
  info.fps = fps > 0 ? fps : 24;
  info.width = stored.width, info.height = stored.height;
  info.frames = stored.frames > 0 ? stored.frames : std::llround(stored.seconds * fps);
  info.frames = std::max<std::int64_t>(1, info.frames);
  counted = fps <= 0;  // a still is one frame
  info.facts = std::move(facts);
  info.opening = false;
  changed.notify_all();
}

// The frame to read next, or -1 when all that fits is there: the target, what follows it, then what came before it.
std::int64_t FileReel::State::next_missing(std::size_t frame_bytes) const {
  const auto room =
      std::max<std::int64_t>(4, static_cast<std::int64_t>(budget / std::max<std::size_t>(1, frame_bytes)));
  // One more than the container promises is asked for, until the end was seen.
  const std::int64_t end = info.frames + (counted ? 0 : 1), ahead = info.frames <= room ? end : room * 3 / 4;
  for (std::int64_t i = target; i < std::min(end, target + ahead); ++i)
    if (frames.count(i) == 0) return i;
  if (info.frames <= room) {
    for (std::int64_t i = 0; i < target; ++i)
      if (frames.count(i) == 0) return i;
  }
  return -1;
}

// The frame of the next stand-in, or -1: evenly spread at any time, by reversing the bits of their number.
std::int64_t FileReel::State::next_small(std::size_t frame_bytes) const {
  if (small_tried >= kStandIns || static_cast<std::size_t>(info.frames) * frame_bytes <= budget) return -1;
  int reversed = 0;
  for (int bit = 1, value = small_tried; bit < kStandIns; bit *= 2, value /= 2) reversed = reversed * 2 + value % 2;
  return info.frames * reversed / kStandIns;
}

void FileReel::State::keep(std::int64_t index, Frame frame) {
  bytes += frame.bytes().size();
  frames[index] = std::make_shared<const Frame>(std::move(frame));
  while (bytes > budget && frames.size() > 4) {
    // The farthest from where we look goes first.
    const auto low = frames.begin(), high = std::prev(frames.end());
    const auto victim = target - low->first > high->first - target ? low : high;
    bytes -= victim->second->bytes().size();
    frames.erase(victim);
  }
}

void FileReel::State::serve(VideoReader& reader, double fps) {
  std::int64_t position = 0;
  Frame frame;
  while (!stop) {
    std::int64_t wanted = -1, small_one = -1;
    {
      std::unique_lock lock(mutex);
      const std::size_t frame_bytes = static_cast<std::size_t>(info.width) * static_cast<std::size_t>(info.height) * 3;
      changed.wait(lock, [&] {
        return stop || (wanted = next_missing(frame_bytes)) >= 0 || (small_one = next_small(frame_bytes)) >= 0;
      });
      if (stop) return;
    }
    if (wanted < 0) wanted = small_one;
    const std::int64_t read_on = small_one >= 0 ? 0 : kReadOn;
    if (position < 0 || wanted < position || wanted > position + read_on) {
      reader.seek(fps > 0 ? static_cast<double>(wanted) / fps : 0);
      position = wanted;
    }
    const bool got = reader.next(frame);
    if (small_one >= 0) {
      Picture stand_in = got ? std::make_shared<const Frame>(shrunk(frame)) : nullptr;
      const std::lock_guard lock(mutex);
      ++small_tried;
      position = got ? position + 1 : -1;  // -1: the next one seeks
      if (stand_in) small[small_one] = std::move(stand_in);
      changed.notify_all();
      continue;
    }
    const std::lock_guard lock(mutex);
    if (got) {
      if (frames.count(position) == 0) keep(position, frame);
      ++position;
    } else {
      // The container promised more than there is.
      info.frames = std::max<std::int64_t>(1, position);
      counted = true;
      target = std::min(target, info.frames - 1);
      ORRERY_CHECK(position > 0, path, " has no frame");
    }
    info.frames = std::max(info.frames, position);  // or less than there is
    info.remark = reader.damage();
    changed.notify_all();
  }
}

void FileReel::State::run() {
  set_thread_count(1);
  try {
    std::optional<VideoReader> reader;
    double fps = 0;
    open(reader, fps);
    serve(*reader, fps);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex);
    info.error = error.what();
    info.opening = false;
    changed.notify_all();
  }
}

FileReel::FileReel(const std::string& path, std::size_t budget) : state_(std::make_unique<State>()) {
  state_->path = path, state_->budget = budget;
  state_->info.title = std::filesystem::path(path).filename().string();
  state_->info.opening = true;
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

FileReel::~FileReel() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

ReelInfo FileReel::info() const {
  const std::lock_guard lock(state_->mutex);
  return state_->info;
}

Picture FileReel::picture(std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->frames.find(frame);
  return found == state_->frames.end() ? nullptr : found->second;
}

Picture FileReel::nearest(std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  Picture best;
  std::int64_t least = 0;
  for (const auto* held : {&state_->frames, &state_->small}) {
    const auto after = held->lower_bound(frame);
    for (auto one : {after, after == held->begin() ? held->end() : std::prev(after)}) {
      if (one == held->end() || (best && std::abs(one->first - frame) >= least)) continue;
      best = one->second, least = std::abs(one->first - frame);
    }
  }
  return best;
}

int FileReel::stand_ins() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int>(state_->small.size());
}

void FileReel::attend(std::int64_t frame) {
  {
    const std::lock_guard lock(state_->mutex);
    const std::int64_t target = std::clamp<std::int64_t>(frame, 0, std::max<std::int64_t>(0, state_->info.frames - 1));
    if (target == state_->target) return;
    state_->target = target;
  }
  state_->changed.notify_all();
}

const std::string& FileReel::path() const { return state_->path; }

std::size_t FileReel::held() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

void FileReel::settle() const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] {
    return !state_->info.opening && (!state_->info.error.empty() || state_->frames.count(state_->target) > 0);
  });
}

}  // namespace orrery::viewer
