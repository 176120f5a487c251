// The clips that one thread draws side by side, and what becomes of each: published, failed, or kept for the next run.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/pipeline/batch/batch.h"
#include "apps/pipeline/batch/clip_store.h"
#include "apps/pipeline/clip_codes.h"

namespace orrery::batch {

/// A job in work.
struct ClipInWork {
  Job job;
  std::string hash;  ///< of what the clip is made from
  pipeline::ClipSpec spec;
  std::unique_ptr<pipeline::ClipCodes> draw;
  std::vector<std::int32_t> codes;  ///< drawn so far, given ones included
  double seconds = 0;               ///< of work on it: its share of the passes, and its file
};

/// What the threads of a run share.
struct RunState {
  const BatchOptions& options;
  const pipeline::LoadedModel& model;
  ClipStore& store;
  int width, height;
  std::atomic<std::int64_t> frames{0}, made{0}, made_frames{0}, failed{0}, taken{0};

  bool stopped() const { return options.stop != nullptr && options.stop->load(); }
};

/// The clip that a job asks for; its init files are read. Throws InputError.
pipeline::ClipSpec spec_of(const pipeline::LoadedModel& model, const Job& job);
/// The same without reading init files, checked against the model.
void check_job(const pipeline::LoadedModel& model, const Job& job);
/// What decides about the clip's bytes, as one hash.
std::string job_hash(const pipeline::LoadedModel& model, const Job& job, const BatchOptions& options, int width,
                     int height);

/// Draws jobs that `next` hands out (empty: none now) until there are none, or it is told to stop; `finishers` threads
/// write their files.
void draw_clips(RunState& run, std::int64_t at_once, int finishers,
                const std::function<std::unique_ptr<ClipInWork>()>& next);

/// Runs `work` again and again while the disk is full, saying so once; false when stopped meanwhile.
bool wait_for_disk(RunState& run, const std::function<void()>& work);

/// A manifest line without what only a finished clip has.
Json manifest_line(const RunState& run, const Job& job, const std::string& hash, const char* status);

}  // namespace orrery::batch
