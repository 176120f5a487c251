#include "viewer/state/save_job.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "apps/pipeline/frame_sink.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery::viewer {

struct SaveJob::State {
  SaveOptions options;
  std::function<std::optional<Frame>()> next;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Frame> queue;
  bool ended = false, done = false;
  std::int64_t frames = 0;
  std::string error;
  std::thread thread;

  std::optional<Frame> pop();
  void run();
};

std::optional<Frame> SaveJob::State::pop() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return ended || !queue.empty(); });
  if (queue.empty()) return std::nullopt;
  Frame frame = std::move(queue.front());
  queue.pop_front();
  lock.unlock();
  changed.notify_all();
  return frame;
}

void SaveJob::State::run() {
  set_thread_count(1);
  try {
    std::optional<pipeline::FrameSink> sink;
    int width = 0, height = 0;
    for (;;) {
      {
        const std::lock_guard lock(mutex);
        if (ended && next) break;
      }
      const std::optional<Frame> frame = next ? next() : pop();
      if (!frame.has_value()) break;
      if (!sink.has_value()) {
        const double scale = std::max(1.0, 1.0 * options.longest_side / std::max(frame->width(), frame->height()));
        width = static_cast<int>(std::lround(frame->width() * scale));
        height = static_cast<int>(std::lround(frame->height() * scale));
        WriteOptions write;
        write.fps = options.fps, write.metadata = options.metadata;
        sink.emplace(options.path, width, height, write);
      }
      sink->push(*frame);
      const std::lock_guard lock(mutex);
      ++frames;
    }
    ORRERY_CHECK(sink.has_value(), "nothing was written to ", options.path, ": there was no frame");
    sink->finish(options.metadata);
  } catch (const std::exception& failure) {
    const std::lock_guard lock(mutex);
    error = failure.what();
  }
  const std::lock_guard lock(mutex);
  done = ended = true;
  queue.clear();
  changed.notify_all();
}

SaveJob::SaveJob(const SaveOptions& options, std::function<std::optional<Frame>()> next)
    : state_(std::make_unique<State>()) {
  state_->options = options, state_->next = std::move(next);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

SaveJob::SaveJob(const SaveOptions& options) : SaveJob(options, nullptr) {}

SaveJob::~SaveJob() { settle(); }

void SaveJob::push(Frame frame) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->ended || state_->queue.size() < kQueued; });
  if (state_->ended) return;
  state_->queue.push_back(std::move(frame));
  lock.unlock();
  state_->changed.notify_all();
}

void SaveJob::end() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ended = true;
  }
  state_->changed.notify_all();
}

bool SaveJob::done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->done;
}

std::int64_t SaveJob::frames() const {
  const std::lock_guard lock(state_->mutex);
  return state_->frames;
}

const std::string& SaveJob::path() const { return state_->options.path; }

std::string SaveJob::error() const {
  const std::lock_guard lock(state_->mutex);
  return state_->error;
}

void SaveJob::settle() {
  end();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace orrery::viewer
