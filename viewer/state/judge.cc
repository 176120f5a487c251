#include "viewer/state/judge.h"

#include <cmath>
#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "video/io/reader.h"

namespace orrery::viewer {

double Judgement::at(std::int64_t frame) const {
  const std::int64_t i = frame - first;
  if (i < 0 || i >= static_cast<std::int64_t>(score.frames.size())) return std::numeric_limits<double>::quiet_NaN();
  return score.frames[static_cast<std::size_t>(i)];
}

struct Judge::State {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::function<Judgement()> work;
  std::shared_ptr<const Judgement> answer;
  bool busy = false, stop = false;
  int asked = 0;
  std::thread thread;

  void run();
  void ask(std::function<Judgement()> next);
};

void Judge::State::ask(std::function<Judgement()> next) {
  {
    const std::lock_guard lock(mutex);
    work = std::move(next);
    ++asked;
  }
  changed.notify_all();
}

void Judge::State::run() {
  set_thread_count(1);
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return stop || work; });
    if (stop) return;
    const std::function<Judgement()> next = std::exchange(work, nullptr);
    const int number = asked;
    busy = true;
    lock.unlock();
    auto found = std::make_shared<Judgement>();
    try {
      *found = next();
    } catch (const std::exception& error) {
      found->error = error.what();
    }
    lock.lock();
    busy = false;
    if (number == asked) answer = found;
    changed.notify_all();
  }
}

Judge::Judge() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Judge::~Judge() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

namespace {
Judgement judged(std::span<const Frame> frames, double fps, std::int64_t first) {
  Judgement found;
  found.first = first, found.count = static_cast<std::int64_t>(frames.size());
  found.tracks = track(frames, fps);
  found.score = score_physics(found.tracks);
  return found;
}
}  // namespace

void Judge::ask(std::vector<Picture> pictures, double fps, std::int64_t first) {
  state_->ask([pictures = std::move(pictures), fps, first] {
    std::vector<Frame> frames;
    frames.reserve(pictures.size());
    for (const Picture& picture : pictures) frames.push_back(*picture);
    return judged(frames, fps, first);
  });
}

void Judge::ask_file(const std::string& path, std::size_t most_bytes) {
  state_->ask([path, most_bytes] {
    VideoReader reader(path);
    const std::size_t bytes =
        static_cast<std::size_t>(reader.info().width) * static_cast<std::size_t>(reader.info().height) * 3;
    const Clip clip = read_video(path, {}, static_cast<std::int64_t>(most_bytes / bytes));
    return judged(clip.frames, clip.fps > 0 ? clip.fps : 24, 0);
  });
}

void Judge::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->work = nullptr;
  state_->answer = nullptr;
  ++state_->asked;
}

std::shared_ptr<const Judgement> Judge::answer() const {
  const std::lock_guard lock(state_->mutex);
  return state_->answer;
}

bool Judge::busy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy || state_->work;
}

void Judge::settle() const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return !state_->busy && !state_->work; });
}

}  // namespace orrery::viewer
