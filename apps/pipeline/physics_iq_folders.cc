#include "apps/pipeline/physics_iq_folders.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>

#include "apps/pipeline/video_files.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "video/io/reader.h"

namespace orrery {

namespace {

constexpr int kSeconds = 5;

// What a name says; a generated video's has neither take nor rate.
struct IqName {
  std::string id, view, scenario;
  int take = 0, fps = 0;
};

std::optional<IqName> parse_name(const std::string& path) {
  const std::string stem = std::filesystem::path(path).stem().string();
  std::vector<std::string> parts(1);
  for (const char c : stem) {
    if (c == '_') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() == 3) return IqName{parts[0], parts[1], parts[2], 0, 0};
  if (parts.size() != 6 || parts[1] != "testing-videos" || parts[4].rfind("take-", 0) != 0) return std::nullopt;
  return IqName{parts[0], parts[3], parts[5], std::atoi(parts[4].c_str() + 5), std::atoi(parts[2].c_str())};
}

PhysicsIqClip record(const std::string& path, VideoReader& reader, int width, int height, int count) {
  const VideoInfo& info = reader.info();
  PhysicsIqRecorder recorder(width, height);
  const LineSink add = [&](int y, const Lines& lines) {
    if (y == 0) recorder.start(info.width, info.height);
    recorder.add_line(lines);
  };
  while (recorder.count() < count && reader.next_lines(add)) continue;
  ORRERY_CHECK(recorder.count() == count, path, " has ", recorder.count(), " frames, expected ", count, ": ", kSeconds,
               " s at the generated video's rate");
  return recorder.take();
}

PhysicsIqClip record_blended(const std::string& path, VideoReader& reader, std::pair<int, int> size, int from, int to) {
  std::vector<Frame> frames;
  for (Frame frame; static_cast<int>(frames.size()) < kSeconds * from && reader.next(frame);) frames.push_back(frame);
  ORRERY_CHECK(static_cast<int>(frames.size()) == kSeconds * from, path, " has ", frames.size(), " frames, expected ",
               kSeconds * from);
  return prepare_physics_iq(blend_to_rate(frames, from, to), size.first, size.second, kSeconds * to);
}

// A view's three videos: two takes and the generated one. They are recorded one by one, by whichever thread is free.
class ViewWork {
 public:
  static constexpr int kVideos = 3;

  ViewWork(const PhysicsIqPair& pair, int threads) : pair_(pair), threads_(threads) {}

  /// Records one; who records the last one compares. What is wrong with the videos is kept for result().
  void record_one(int which) {
    record_or_note(which);
    ++tried_;
  }

  bool done() const { return tried_ == kVideos; }
  const PhysicsIqResult& result() const { return result_; }

 private:
  void record_or_note(int which) {
    try {
      prepare();
      PhysicsIqClip clip = record_clip(which);
      const std::lock_guard lock(mutex_);
      clips_[static_cast<std::size_t>(which)] = std::move(clip);
      if (++recorded_ == kVideos) compare();
    } catch (const InputError& error) {
      const std::lock_guard lock(mutex_);
      // Of the first of them, whichever came first in time.
      if (result_.reason.empty() || which < failed_) result_.reason = error.what(), failed_ = which;
    }
  }

  // Opens what decides rate and size, once; the readers then go on from there.
  void prepare() {
    const std::lock_guard lock(mutex_);
    if (readers_[0] && readers_[2]) return;
    readers_[2] = open(pair_.generated);
    fps_ = static_cast<int>(std::lround(readers_[2]->info().fps));
    ORRERY_CHECK(fps_ >= 1, pair_.generated, " is a still picture");
    const auto same = pair_.takes.find(fps_);
    const auto& used = same != pair_.takes.end() ? *same : *pair_.takes.rbegin();
    from_ = used.first, takes_ = used.second;
    readers_[0] = open(takes_[0]);
    size_ = {readers_[0]->info().width / 4, readers_[0]->info().height / 4};
  }

  std::unique_ptr<VideoReader> open(const std::string& path) const {
    ReadOptions options;
    options.threads = threads_;
    return std::make_unique<VideoReader>(path, options);
  }

  PhysicsIqClip record_clip(int which) {
    const bool generated = which == 2;
    const std::string& path = generated ? pair_.generated : takes_[static_cast<std::size_t>(which)];
    std::unique_ptr<VideoReader>& kept = readers_[static_cast<std::size_t>(which)];
    const std::unique_ptr<VideoReader> own = kept ? nullptr : open(path);
    VideoReader& reader = own ? *own : *kept;
    return generated || from_ == fps_ ? record(path, reader, size_.first, size_.second, kSeconds * fps_)
                                      : record_blended(path, reader, size_, from_, fps_);
  }

  void compare() {
    PhysicsIqView view;
    view.variance = compare_physics_iq(clips_[0], clips_[1]);
    view.model = compare_physics_iq(clips_[0], clips_[2]);
    result_.view = view;
    clips_ = {}, readers_ = {};
  }

  const PhysicsIqPair& pair_;
  const int threads_;
  std::mutex mutex_;
  std::array<std::unique_ptr<VideoReader>, kVideos> readers_;
  std::array<PhysicsIqClip, kVideos> clips_;
  std::array<std::string, 2> takes_;
  std::pair<int, int> size_;
  int fps_ = 0, from_ = 0, recorded_ = 0, failed_ = kVideos;
  PhysicsIqResult result_;
  std::atomic<int> tried_{0};
};

}  // namespace

std::vector<PhysicsIqPair> pair_physics_iq(const std::string& real, const std::string& generated,
                                           std::vector<LeftOut>& left_out) {
  std::map<std::string, PhysicsIqPair> found;
  const auto keep = [&left_out](std::string& place, const std::string& file) {
    if (!place.empty()) {
      left_out.push_back({file, "the same scenario and view as " + place});
    } else {
      place = file;
    }
  };
  for (const std::string& file : gather_videos({real}, left_out)) {
    const auto name = parse_name(file);
    if (!name || name->take < 1 || name->take > 2 || name->fps <= 0) {
      left_out.push_back({file, "the name is not ID_testing-videos_FPSFPS_VIEW_take-K_SCENARIO"});
      continue;
    }
    keep(found[name->scenario + " " + name->view].takes[name->fps][static_cast<std::size_t>(name->take - 1)], file);
  }
  for (const std::string& file : gather_videos({generated}, left_out)) {
    const auto name = parse_name(file);
    const auto pair = name && name->take == 0 ? found.find(name->scenario + " " + name->view) : found.end();
    if (pair == found.end()) {
      left_out.push_back({file, "no real video has its scenario and view (ID_VIEW_SCENARIO)"});
    } else {
      keep(pair->second.generated, file);
    }
  }
  std::vector<PhysicsIqPair> out;
  for (auto& [view, pair] : found) {
    for (auto take = pair.takes.begin(); take != pair.takes.end();) {
      const bool whole = !take->second[0].empty() && !take->second[1].empty();
      take = whole ? std::next(take) : pair.takes.erase(take);
    }
    if (pair.generated.empty() || pair.takes.empty()) {
      left_out.push_back({view, pair.generated.empty() ? "no generated video" : "a real take is missing"});
      continue;
    }
    pair.view = view;
    out.push_back(std::move(pair));
  }
  return out;
}

void score_physics_iq_pairs(std::span<const PhysicsIqPair> pairs,
                            const std::function<void(const PhysicsIqPair&, const PhysicsIqResult&)>& done) {
  const auto videos = static_cast<std::int64_t>(pairs.size()) * ViewWork::kVideos;
  const std::int64_t workers = std::min<std::int64_t>(thread_count(), videos);
  // With many videos a thread each is busy all the time; with few, their decoders' threads help.
  const int decoding = videos > 2 * workers ? 1 : 0;
  std::deque<ViewWork> work;
  for (const PhysicsIqPair& pair : pairs) work.emplace_back(pair, decoding);
  std::atomic<std::int64_t> next{0};
  std::mutex telling;
  std::size_t told = 0;
  parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      for (std::int64_t i = next++; i < videos; i = next++) {
        work[static_cast<std::size_t>(i / ViewWork::kVideos)].record_one(static_cast<int>(i % ViewWork::kVideos));
        const std::lock_guard lock(telling);
        for (; told < work.size() && work[told].done(); ++told) done(pairs[told], work[told].result());
      }
    }
  });
}

PhysicsIqView score_physics_iq_pair(const PhysicsIqPair& pair) {
  PhysicsIqResult result;
  score_physics_iq_pairs({&pair, 1}, [&](const PhysicsIqPair&, const PhysicsIqResult& found) { result = found; });
  if (!result.view) throw InputError(result.reason);
  return *result.view;
}

}  // namespace orrery
