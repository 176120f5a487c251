#include "viewer/state/live_run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "viewer/state/thread_clock.h"

namespace orrery::viewer {

namespace {

struct Branch {
  BranchInfo info;
  std::vector<ChunkPtr> chunks;
  worlds::Action pending;
};

// A mean that follows, of frames a second.
void smooth(double& rate, std::size_t frames, double seconds) {
  const double now = seconds > 0 ? static_cast<double>(frames) / seconds : rate;
  rate = rate == 0 ? now : rate * 0.8 + now * 0.2;
}

std::size_t bytes_of(const Chunk& chunk) {
  std::size_t bytes = 0;
  for (const auto* frames : {&chunk.frames, &chunk.truth})
    for (const Picture& frame : *frames) bytes += frame->bytes().size();
  return bytes;
}

}  // namespace

struct LiveRun::State {
  std::shared_ptr<GeneratorFactory> factory;
  std::size_t budget;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<Branch> branches;
  int current = 0;
  std::int64_t wanted = 1;
  std::size_t bytes = 0;
  double rate = 0, processor_rate = 0;
  std::string error;
  bool stop = false;
  std::thread thread;

  void run();
  void forget();

  const Branch& at(int id) const { return branches[static_cast<std::size_t>(id < 0 ? current : id)]; }
  Branch& at(int id) { return branches[static_cast<std::size_t>(id < 0 ? current : id)]; }
  // Chunk that holds a frame: the first one holds frame 0 alone.
  std::int64_t chunk_of(std::int64_t frame) const {
    const std::int64_t step = factory->chunk_frames();
    return frame <= 0 ? 0 : 1 + (frame - 1) / step;
  }
  std::int64_t first_frame(std::int64_t chunk) const {
    const std::int64_t step = factory->chunk_frames();
    return chunk <= 0 ? 0 : 1 + (chunk - 1) * step;
  }
  // The place of a frame in its chunk's lists.
  std::size_t place(std::int64_t frame) const { return static_cast<std::size_t>(frame - first_frame(chunk_of(frame))); }
  ChunkPtr find(int id, std::int64_t frame) const {
    if (frame < 0 || id >= static_cast<int>(branches.size())) return nullptr;
    const auto chunk = static_cast<std::size_t>(chunk_of(frame));
    const Branch& branch = at(id);
    return chunk < branch.chunks.size() ? branch.chunks[chunk] : nullptr;
  }
};

// Drops the pictures of the oldest chunks, wherever they are, until the rest fits. Codes and pushes stay.
void LiveRun::State::forget() {
  for (std::size_t chunk = 0; bytes > budget; ++chunk) {
    bool any = false;
    for (Branch& branch : branches) {
      if (chunk + 16 >= branch.chunks.size()) continue;
      any = true;
      const ChunkPtr& old = branch.chunks[chunk];
      if (old->frames.empty()) continue;
      bytes -= bytes_of(*old);
      auto slim = std::make_shared<Chunk>();  // others may be reading the old one
      slim->action = old->action, slim->codes = old->codes;
      const ChunkPtr same = old;
      for (Branch& other : branches)
        if (chunk < other.chunks.size() && other.chunks[chunk] == same) other.chunks[chunk] = slim;
    }
    if (!any) return;
  }
}

void LiveRun::State::run() {
  set_thread_count(1);  // the window and the codec's encoder have the other cores
  std::unique_ptr<Generator> generator;
  int made_for = -1;
  try {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stop || at(current).info.frames < wanted; });
      if (stop) return;
      const int id = current;
      if (made_for != id) {
        const BranchSettings settings = at(id).info.settings;
        const std::vector<ChunkPtr> past = at(id).chunks;
        lock.unlock();
        generator = factory->make(settings, past);
        made_for = id;
        lock.lock();
        if (stop) return;
        if (current != id) continue;
      }
      const worlds::Action action = std::exchange(at(id).pending, {});
      lock.unlock();
      const auto begin = std::chrono::steady_clock::now();
      const double worked = thread_seconds();
      ChunkPtr chunk = generator->next(action);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const double processor = thread_seconds() - worked;
      lock.lock();
      Branch& branch = at(id);
      if (chunk->action.push != worlds::Push::none)
        branch.info.actions.push_back({static_cast<int>(branch.info.frames), chunk->action});
      branch.info.frames += static_cast<std::int64_t>(chunk->frames.size());
      bytes += bytes_of(*chunk);
      smooth(rate, chunk->frames.size(), seconds);
      smooth(processor_rate, chunk->frames.size(), processor);
      branch.chunks.push_back(std::move(chunk));
      forget();
      changed.notify_all();
    }
  } catch (const std::exception& failure) {
    const std::lock_guard lock(mutex);
    error = failure.what();
    changed.notify_all();
  }
}

LiveRun::LiveRun(std::shared_ptr<GeneratorFactory> factory, const BranchSettings& settings, std::size_t budget)
    : factory_(std::move(factory)), state_(std::make_unique<State>()) {
  state_->factory = factory_, state_->budget = budget;
  Branch first;
  first.info.settings = settings;
  state_->branches.push_back(std::move(first));
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

LiveRun::~LiveRun() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

ReelInfo LiveRun::info() const {
  const std::lock_guard lock(state_->mutex);
  const Branch& branch = state_->at(-1);
  ReelInfo info = factory_->info(branch.info.settings);
  info.frames = branch.info.frames;
  while (info.first < info.frames) {
    const auto chunk = static_cast<std::size_t>(state_->chunk_of(info.first));
    if (!branch.chunks[chunk]->frames.empty()) break;
    info.first = state_->first_frame(static_cast<std::int64_t>(chunk) + 1);
  }
  info.growing = state_->error.empty();
  info.opening = info.frames == 0 && info.growing;
  info.error = state_->error;
  info.remark = factory_->remark();
  return info;
}

std::vector<BranchInfo> LiveRun::branches() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<BranchInfo> out;
  for (const Branch& branch : state_->branches) out.push_back(branch.info);
  return out;
}

int LiveRun::current() const {
  const std::lock_guard lock(state_->mutex);
  return state_->current;
}

void LiveRun::select(int branch) {
  {
    const std::lock_guard lock(state_->mutex);
    if (branch < 0 || branch >= static_cast<int>(state_->branches.size())) return;
    state_->current = branch;
  }
  state_->changed.notify_all();
}

void LiveRun::want(std::int64_t frames) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->wanted == frames) return;
    state_->wanted = frames;
  }
  state_->changed.notify_all();
}

void LiveRun::push(const worlds::Action& action) {
  const std::lock_guard lock(state_->mutex);
  state_->at(-1).pending = action;
}

int LiveRun::branch(std::int64_t frame, const BranchSettings& settings, const worlds::Action& action) {
  int id = 0;
  {
    const std::lock_guard lock(state_->mutex);
    ORRERY_CHECK(state_->branches.size() < kMostBranches, "there are ", kMostBranches,
                 " branches already; start the world anew for more");
    const Branch& from = state_->at(-1);
    const auto keep = std::min(from.chunks.size(), static_cast<std::size_t>(state_->chunk_of(frame)) + 1);
    Branch branch;
    branch.chunks.assign(from.chunks.begin(), from.chunks.begin() + static_cast<std::ptrdiff_t>(keep));
    id = static_cast<int>(state_->branches.size());
    branch.info.id = id, branch.info.parent = from.info.id, branch.info.settings = settings;
    branch.info.begin = branch.info.frames = state_->first_frame(static_cast<std::int64_t>(keep));
    for (const worlds::TimedAction& timed : from.info.actions)
      if (timed.frame < branch.info.begin) branch.info.actions.push_back(timed);
    if (action.push != worlds::Push::none) branch.info.reason = worlds::push_name(action.push);
    if (settings.seed != from.info.settings.seed) branch.info.reason = "seed " + std::to_string(settings.seed);
    if (settings.prompt != from.info.settings.prompt) branch.info.reason = "\"" + settings.prompt + "\"";
    if (branch.info.reason.empty()) branch.info.reason = "again";
    branch.pending = action;
    state_->branches.push_back(std::move(branch));
    state_->current = id;
  }
  state_->changed.notify_all();
  return id;
}

Picture LiveRun::picture(int branch, std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  const ChunkPtr chunk = state_->find(branch, frame);
  return chunk == nullptr || chunk->frames.empty() ? nullptr : chunk->frames[state_->place(frame)];
}

Picture LiveRun::truth(int branch, std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  const ChunkPtr chunk = state_->find(branch, frame);
  return chunk == nullptr || chunk->truth.empty() ? nullptr : chunk->truth[state_->place(frame)];
}

worlds::FrameTruth LiveRun::state(int branch, std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  const ChunkPtr chunk = state_->find(branch, frame);
  return chunk == nullptr || chunk->states.empty() ? worlds::FrameTruth{} : chunk->states[state_->place(frame)];
}

ChunkPtr LiveRun::chunk(int branch, std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  return state_->find(branch, frame);
}

std::pair<std::vector<ChunkPtr>, std::string> LiveRun::history(std::int64_t frame) const {
  const std::lock_guard lock(state_->mutex);
  const Branch* branch = &state_->at(-1);
  const auto count = std::min(branch->chunks.size(), static_cast<std::size_t>(state_->chunk_of(frame)) + 1);
  std::vector<ChunkPtr> chunks(branch->chunks.begin(), branch->chunks.begin() + static_cast<std::ptrdiff_t>(count));
  while (branch->info.parent >= 0 && frame < branch->info.begin) branch = &state_->at(branch->info.parent);
  return {std::move(chunks), branch->info.settings.prompt};
}

double LiveRun::rate() const {
  const std::lock_guard lock(state_->mutex);
  return state_->rate;
}

double LiveRun::processor_rate() const {
  const std::lock_guard lock(state_->mutex);
  return state_->processor_rate;
}

void LiveRun::settle(std::int64_t frames) const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(
      lock, [&] { return !state_->error.empty() || state_->at(-1).info.frames >= std::min(frames, state_->wanted); });
}

ReelInfo LiveReel::info() const {
  ReelInfo info = run_->info();
  if (branch_ >= 0) {
    const std::vector<BranchInfo> branches = run_->branches();
    info.frames = branches[static_cast<std::size_t>(branch_)].frames;
    info.title = branches[static_cast<std::size_t>(branch_)].settings.prompt;
  }
  return info;
}

Picture LiveReel::picture(std::int64_t frame) const {
  return layer_ == Layer::shown ? run_->picture(branch_, frame) : run_->truth(branch_, frame);
}

}  // namespace orrery::viewer
