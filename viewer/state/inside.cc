#include "viewer/state/inside.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/parallel.h"

namespace orrery::viewer {

namespace {

struct Question {
  std::string prompt;
  std::vector<ChunkPtr> chunks;
};

InsideView look_at(const pipeline::LoadedModel& model, pipeline::Inspector& inspector, const Question& question) {
  InsideView found;
  std::vector<pipeline::LatentFrame> frames;
  for (const ChunkPtr& chunk : question.chunks) frames.push_back({chunk->codes, to_action(model, chunk->action)});
  found.insight = inspector.inspect(question.prompt, frames);
  found.latent = static_cast<std::int64_t>(frames.size()) - 1;
  for (std::size_t back = 0; back <= found.insight.earlier(); ++back) {
    const Chunk& chunk = *question.chunks[question.chunks.size() - 1 - back];
    found.pictures.push_back(chunk.frames.empty() ? nullptr : chunk.frames.back());
  }
  return found;
}

}  // namespace

struct Inside::State {
  std::shared_ptr<ModelStore> store;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::optional<Question> question;
  std::shared_ptr<const InsideView> answer;
  bool busy = false, stop = false;
  int epoch = 0;  // of clear()
  std::thread thread;

  void run();
};

void Inside::State::run() {
  set_thread_count(1);
  std::shared_ptr<const pipeline::LoadedModel> model;
  std::optional<pipeline::Inspector> inspector;
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return stop || question; });
    if (stop) return;
    const Question next = *std::exchange(question, std::nullopt);
    const int begun = epoch;
    busy = true;
    lock.unlock();
    auto found = std::make_shared<InsideView>();
    try {
      if (model == nullptr) model = store->get();
      if (!inspector) inspector.emplace(*model);
      *found = look_at(*model, *inspector, next);
    } catch (const std::exception& error) {
      inspector.reset();
      found->error = error.what();
    }
    lock.lock();
    busy = false;
    if (begun == epoch) answer = found;  // an older frame's is better than none while it plays
    changed.notify_all();
  }
}

Inside::Inside(std::shared_ptr<ModelStore> store) : state_(std::make_unique<State>()) {
  state_->store = std::move(store);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Inside::~Inside() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Inside::ask(const std::string& prompt, std::vector<ChunkPtr> chunks) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->question = Question{prompt, std::move(chunks)};
  }
  state_->changed.notify_all();
}

std::shared_ptr<const InsideView> Inside::answer() const {
  const std::lock_guard lock(state_->mutex);
  return state_->answer;
}

bool Inside::busy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy || state_->question;
}

void Inside::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->question.reset();
  state_->answer = nullptr;
  ++state_->epoch;
}

void Inside::settle() const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return !state_->busy && !state_->question; });
}

}  // namespace orrery::viewer
