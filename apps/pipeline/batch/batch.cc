#include "apps/pipeline/batch/batch.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>

#include "apps/pipeline/batch/clip_group.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The process's own list, where nobody shares a queue.
class OwnQueue final : public JobQueue {
 public:
  void begin(int, std::vector<std::int64_t> jobs) override {
    const std::lock_guard lock(mutex_);
    jobs_ = std::move(jobs), at_ = 0;
  }
  std::optional<std::int64_t> next(const std::function<bool()>&) override {
    const std::lock_guard lock(mutex_);
    if (at_ == jobs_.size()) return std::nullopt;
    return jobs_[at_++];
  }

 private:
  std::mutex mutex_;
  std::vector<std::int64_t> jobs_;
  std::size_t at_ = 0;
};

// The jobs of one model.
struct ModelJobs {
  std::string name;
  std::vector<std::int64_t> jobs;
  std::unique_ptr<pipeline::LoadedModel> model;  // kept when it is the only one
};

class Batch {
 public:
  explicit Batch(const BatchOptions& options) : options_(options), jobs_(options.jobs, options.defaults) {
    check_options();
    refuse(jobs_.bad());
    report_.bad_lines = static_cast<std::int64_t>(jobs_.bad().size());
    for (const std::string& name : jobs_.models()) groups_.push_back({name, {}, nullptr});
    for (std::int64_t i = options.shard; i < jobs_.size(); i += options.shards) {
      groups_[jobs_.summary(i).model].jobs.push_back(i);
      ++report_.jobs;
    }
    check_against_models();
  }

  BatchPlan plan();

  BatchReport run() {
    store_ = std::make_unique<ClipStore>(options_.folder, "." + options_.format, options_.claims);
    check_against_journal();
    const double begin = now();
    for (ModelJobs& group : groups_) run_group(group);
    report_.seconds = now() - begin;
    finish();
    return report_;
  }

 private:
  void check_options() const;
  void refuse(const std::vector<JobFile::Bad>& bad) const;
  void check_against_models();
  void check_against_journal();
  void run_group(ModelJobs& group);
  std::int64_t at_once(std::size_t jobs, int processes) const;
  // A device takes clips best from one thread.
  int drawing_threads() const { return options_.device == Device::cpu ? std::max(1, thread_count()) : 1; }
  bool run_pass(RunState& run, const std::vector<std::int64_t>& jobs, JobQueue& queue);
  void wait_for_others();
  std::unique_ptr<ClipInWork> next_clip(RunState& run, JobQueue& queue);
  std::vector<std::int64_t> open_jobs(const ModelJobs& group);
  void finish();
  const pipeline::LoadedModel& load(ModelJobs& group) const {
    if (!group.model)
      group.model = std::make_unique<pipeline::LoadedModel>(pipeline::find_model(group.name),
                                                            pipeline::ModelOptions{options_.device});
    return *group.model;
  }
  std::string hash_of(const pipeline::LoadedModel& model, const Job& job) const {
    int width = options_.width, height = options_.height;
    pipeline::output_size(model, options_.native, width, height);
    return job_hash(model, job, options_, width, height);
  }
  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  const BatchOptions& options_;
  JobFile jobs_;
  std::vector<ModelJobs> groups_;
  std::unique_ptr<ClipStore> store_;
  BatchReport report_;
};

void Batch::check_options() const {
  ORRERY_CHECK(options_.shards >= 1 && options_.shard >= 0 && options_.shard < options_.shards, "shard ",
               options_.shard, " of ", options_.shards, ", expected 0…n-1 of n");
  ORRERY_CHECK(options_.clips_at_once >= 0 && options_.clips_at_once <= 4096, "--jobs is ", options_.clips_at_once,
               ", expected at most 4096");
  const auto formats = {"mp4", "mkv", "webm", "gif"};
  ORRERY_CHECK(std::find(formats.begin(), formats.end(), options_.format) != formats.end(), "the format is '",
               options_.format, "', expected mp4, mkv, webm or gif");
  ORRERY_CHECK(!options_.folder.empty(), "no folder to write to");
  ORRERY_CHECK(!fs::exists(options_.folder) || fs::is_directory(options_.folder), "cannot write to ", options_.folder,
               ": it is a file, expected a folder");
  ORRERY_CHECK(!fs::exists(options_.folder) || access(options_.folder.c_str(), W_OK) == 0, "cannot write to ",
               options_.folder, ": ", std::strerror(errno));
}

// Says each wrong line; throws when that is the end.
void Batch::refuse(const std::vector<JobFile::Bad>& bad) const {
  constexpr std::size_t kSaid = 20;
  for (std::size_t i = 0; i < std::min(kSaid, bad.size()); ++i)
    options_.say(jobs_.where(bad[i].line) + ": " + bad[i].reason);
  if (bad.size() > kSaid) options_.say("and " + std::to_string(bad.size() - kSaid) + " more");
  ORRERY_CHECK(bad.empty() || options_.skip_bad, jobs_.path(), " has ", bad.size(), " wrong line",
               bad.size() == 1 ? "" : "s", ", nothing was begun; --skip-bad goes on without them");
}

void Batch::check_against_models() {
  std::vector<JobFile::Bad> bad;
  for (ModelJobs& group : groups_) {
    if (group.jobs.empty()) continue;
    const pipeline::LoadedModel& model = load(group);
    int width = options_.width, height = options_.height;
    pipeline::output_size(model, options_.native, width, height);
    std::vector<std::int64_t> good;
    for (const std::int64_t index : group.jobs) {
      const Job job = jobs_.read(index);
      try {
        check_job(model, job);
        good.push_back(index);
      } catch (const InputError& error) {
        bad.push_back({job.line, error.what()});
      }
    }
    group.jobs = std::move(good);
    if (groups_.size() > 1) group.model.reset();
  }
  std::stable_sort(bad.begin(), bad.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  refuse(bad);
  report_.bad_lines += static_cast<std::int64_t>(bad.size());
  report_.jobs -= static_cast<std::int64_t>(bad.size());
}

// A job that is done here already must be this job.
void Batch::check_against_journal() {
  for (ModelJobs& group : groups_) {
    for (const std::int64_t index : group.jobs) {
      if (store_->state(jobs_.summary(index).id) != ClipStore::State::done) continue;
      const Job job = jobs_.read(index);
      ORRERY_CHECK(options_.force || store_->job_hash(job.id) == hash_of(load(group), job), jobs_.where(job.line), ": ",
                   job.id, " is done in ", options_.folder,
                   ", but from other words, options or weights; give it another id or use another folder");
    }
    if (groups_.size() > 1) group.model.reset();
  }
}

std::vector<std::int64_t> Batch::open_jobs(const ModelJobs& group) {
  store_->refresh();
  std::vector<std::int64_t> open;
  for (const std::int64_t index : group.jobs) {
    const ClipStore::State state = store_->state(jobs_.summary(index).id);
    if (state == ClipStore::State::open || (state == ClipStore::State::failed && options_.retry_failed))
      open.push_back(index);
  }
  return open;
}

std::unique_ptr<ClipInWork> Batch::next_clip(RunState& run, JobQueue& queue) {
  for (;;) {
    const auto index = queue.next([&run] { return run.stopped(); });
    if (!index) return nullptr;
    auto clip = std::make_unique<ClipInWork>();
    clip->job = jobs_.read(*index);
    const std::string& id = clip->job.id;
    clip->hash = job_hash(run.model, clip->job, options_, run.width, run.height);
    try {
      if (!run.store.take(id, options_.retry_failed, options_.force)) continue;
      ++run.taken;
      clip->spec = spec_of(run.model, clip->job);
      clip->draw = std::make_unique<pipeline::ClipCodes>(run.model, clip->spec, run.store.drawn(id, clip->hash));
      return clip;
    } catch (const InputError& error) {
      Json line = manifest_line(run, clip->job, clip->hash, "failed");
      line.set("reason", error.what());
      if (!wait_for_disk(run, [&] { run.store.fail(id, line); })) {
        run.store.release(id);
        continue;
      }
      ++run.failed;
      options_.say(id + " failed: " + error.what());
    }
  }
}

// Clips that one thread draws side by side, so that all threads of all processes have some.
std::int64_t Batch::at_once(std::size_t jobs, int processes) const {
  const std::int64_t share = static_cast<std::int64_t>(jobs) / (drawing_threads() * processes) + 1;
  const std::int64_t most = options_.device == Device::cpu ? kClipsAtOnce : kClipsOnDevice;
  return std::min(options_.clips_at_once > 0 ? options_.clips_at_once : most, share);
}

void Batch::wait_for_others() {
  for (int i = 0; i < 100 && !stopped(); ++i) {
    if (options_.queue != nullptr) options_.queue->pump();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// Draws what can be had of `jobs`; false when that was nothing.
bool Batch::run_pass(RunState& run, const std::vector<std::int64_t>& jobs, JobQueue& queue) {
  const int threads = drawing_threads(), finishers = std::max(1, thread_count() / threads);
  const std::int64_t side_by_side = at_once(jobs.size(), queue.processes());
  std::int64_t frames = 0;
  for (const std::int64_t index : jobs) {
    const JobFile::Summary& job = jobs_.summary(index);
    frames += std::llround(job.seconds * (job.fps > 0 ? job.fps : run.model.fps()));
  }
  Progress progress("batch", "frames", frames);
  if (options_.queue == nullptr || &queue != options_.queue) queue.begin(0, jobs);
  std::mutex mutex;
  std::condition_variable changed;
  int running = threads;
  std::exception_ptr error;
  const std::int64_t taken = run.taken;
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i)
    workers.emplace_back([&] {
      set_thread_count(1);
      std::exception_ptr mine;
      try {
        draw_clips(run, side_by_side, finishers, [&] { return next_clip(run, queue); });
      } catch (...) {
        mine = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (mine && !error) error = mine;
      --running;
      changed.notify_all();
    });
  {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, std::chrono::milliseconds(5), [&] { return running == 0; })) {
      lock.unlock();
      if (options_.queue != nullptr) options_.queue->pump();
      progress.update(run.frames, std::to_string(run.made) + " of " + std::to_string(jobs.size()) + " clips, " +
                                      std::to_string(run.failed) + " failed");
      lock.lock();
    }
  }
  for (std::thread& worker : workers) worker.join();
  progress.update(run.frames, std::to_string(run.made) + " of " + std::to_string(jobs.size()) + " clips");
  if (error) std::rethrow_exception(error);
  return run.taken > taken;
}

void Batch::run_group(ModelJobs& group) {
  std::vector<std::int64_t> open = open_jobs(group);
  if (open.empty() || stopped()) return;
  const pipeline::LoadedModel& model = load(group);
  int width = options_.width, height = options_.height;
  pipeline::output_size(model, options_.native, width, height);
  RunState run{options_, model, *store_, width, height};
  OwnQueue own;
  if (options_.queue != nullptr) {
    options_.queue->begin(static_cast<int>(&group - groups_.data()), open);
    run_pass(run, open, *options_.queue);
    open = open_jobs(group);
  }
  // What others have in work is theirs while they live; what the dead left is taken up.
  bool said = false;
  while (!open.empty() && !stopped()) {
    if (!run_pass(run, open, own)) {
      if (!said)
        options_.say("waiting for " + std::to_string(open.size()) + " clips that other processes have in work");
      said = true;
      wait_for_others();
    }
    if (options_.retry_failed) break;  // once: what fails again stays failed
    open = open_jobs(group);
  }
  report_.made += run.made, report_.frames += run.made_frames;
  if (groups_.size() > 1) group.model.reset();
}

void Batch::finish() {
  std::vector<std::string> order;
  for (std::int64_t i = 0; i < jobs_.size(); ++i) order.push_back(jobs_.summary(i).id);
  store_->refresh();
  for (const ModelJobs& group : groups_)
    for (const std::int64_t index : group.jobs) {
      const ClipStore::State state = store_->state(jobs_.summary(index).id);
      report_.failed += state == ClipStore::State::failed ? 1 : 0;
      report_.left += state == ClipStore::State::open ? 1 : 0;
    }
  report_.found = report_.jobs - report_.made - report_.failed - report_.left;
  report_.stopped = stopped();
  store_->write_manifest(order);
}

BatchPlan Batch::plan() {
  Journal journal(Layout{options_.folder}.journals(), "");
  journal.refresh();
  BatchPlan plan;
  for (ModelJobs& group : groups_) {
    if (group.jobs.empty()) continue;
    const pipeline::LoadedModel& model = load(group);
    int width = options_.width, height = options_.height;
    pipeline::output_size(model, options_.native, width, height);
    std::int64_t latents = 0, frames = 0, open = 0;
    for (const std::int64_t index : group.jobs) {
      const JobFile::Summary& job = jobs_.summary(index);
      const auto entry = journal.find(job.id);
      if (entry && entry->done && fs::exists(fs::path(options_.folder) / (job.id + "." + options_.format))) {
        ++plan.found;
        continue;
      }
      const double fps = job.fps > 0 ? job.fps : model.fps();
      latents += latent_frames(model.codec().config(), std::llround(std::ceil(job.seconds * model.fps())));
      frames += std::max<std::int64_t>(1, std::llround(job.seconds * fps));
      ++open;
    }
    plan.jobs += static_cast<std::int64_t>(group.jobs.size()), plan.to_make += open, plan.frames += frames;
    if (open > 0) {
      const int threads = drawing_threads();
      const std::int64_t side_by_side = at_once(static_cast<std::size_t>(open), 1);
      const Cost cost = measure_cost(model, options_, width, height, std::min<std::int64_t>(side_by_side, 8));
      plan.seconds +=
          (static_cast<double>(latents) * cost.latent_seconds + static_cast<double>(frames) * cost.frame_seconds) /
          threads;
      plan.disk_mb += static_cast<double>(frames) * cost.frame_bytes / 1e6;
      plan.memory_mb = std::max(
          plan.memory_mb, (cost.weight_bytes + cost.clip_bytes * static_cast<double>(side_by_side * threads)) / 1e6);
    }
    if (groups_.size() > 1) group.model.reset();
  }
  return plan;
}

}  // namespace

BatchReport run_batch(const BatchOptions& options) { return Batch(options).run(); }

BatchPlan plan_batch(const BatchOptions& options) { return Batch(options).plan(); }

}  // namespace orrery::batch
