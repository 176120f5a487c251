// Many clips from a file of jobs into one folder: resumable, shared with other processes, several clips in each pass
// over the weights. What is on disk, and in which order, is in docs/batch.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/pipeline/batch/claims.h"
#include "apps/pipeline/batch/job_file.h"

namespace orrery::batch {

/// Where processes share one queue (MPI): who gets which job. Handing one out is advice only; what counts is the claim
/// on the shared folder, so a job that is handed out twice, or whose taker died, is made once all the same.
class JobQueue {
 public:
  virtual ~JobQueue() = default;
  /// The jobs of one model, as this process sees them, in order; `pass` is the model's number, the same in all
  /// processes and ascending. From the main thread.
  virtual void begin(int pass, std::vector<std::int64_t> jobs) = 0;
  /// The next one of them; nothing when none is left. May wait while `stop` is not set. From any thread.
  virtual std::optional<std::int64_t> next(const std::function<bool()>& stop) = 0;
  /// Called every few milliseconds from the main thread.
  virtual void pump() {}
  /// Processes that share it.
  virtual int processes() const { return 1; }
};

struct BatchOptions {
  std::string jobs, folder;
  JobDefaults defaults;
  std::string format = "mp4";  ///< mp4, mkv, webm or gif
  int width = 0, height = 0;   ///< as pipeline::output_size() takes them
  bool native = false;
  /// Clips that are drawn side by side by one thread; 0: kClipsAtOnce.
  std::int64_t clips_at_once = 0;
  Device device = Device::cpu;  ///< one thread draws there, kClipsOnDevice side by side; all others write files
  bool score = false;           ///< a physics score of each clip in the manifest
  bool retry_failed = false;    ///< take up jobs that failed before
  bool force = false;           ///< replace files that this batch did not make, and clips of other jobs
  bool skip_bad = false;        ///< go on without the lines that are wrong
  /// This process takes the jobs whose number is `shard` modulo `shards`.
  std::int64_t shard = 0, shards = 1;
  JobQueue* queue = nullptr;
  const std::atomic<bool>* stop = nullptr;
  /// Lines for people: bad lines, pauses, failures.
  std::function<void(const std::string&)> say = [](const std::string&) {};
  ClaimOptions claims;
};

inline constexpr std::int64_t kClipsAtOnce = 16, kClipsOnDevice = 64;

struct BatchReport {
  std::int64_t jobs = 0;    ///< of this shard, good ones
  std::int64_t found = 0;   ///< done before, or by other processes meanwhile
  std::int64_t made = 0;    ///< now and here
  std::int64_t failed = 0;  ///< jobs whose last word is a failure, whoever made it
  std::int64_t left = 0;    ///< for the next run, or for whoever has them
  std::int64_t bad_lines = 0;
  std::int64_t frames = 0;  ///< of the clips made
  double seconds = 0;       ///< from the first clip's begin to the last one's end
  bool stopped = false;
};

/// Makes what is missing. Every line, and every job against the model, is checked before the first clip begins; throws
/// InputError then, with nothing written. A job that fails later is recorded with its reason and does not stop the
/// rest.
BatchReport run_batch(const BatchOptions& options);

/// What a clip costs on one of the threads.
struct Cost {
  double latent_seconds = 0;  ///< to draw a latent frame, beside others
  double frame_seconds = 0, frame_bytes = 0;
  double clip_bytes = 0, weight_bytes = 0;  ///< of memory: caches of a clip, weights
};
/// Measured on clips of three latent frames.
Cost measure_cost(const pipeline::LoadedModel& model, const BatchOptions& options, int width, int height,
                  std::int64_t at_once);

struct BatchPlan {
  std::int64_t jobs = 0, found = 0, to_make = 0, frames = 0;
  double seconds = 0;    ///< until it is done, as measured on short clips
  double memory_mb = 0;  ///< caches of the clips drawn at once, and the weights
  double disk_mb = 0;
};

/// The same checks and an estimate; writes nothing into the folder.
BatchPlan plan_batch(const BatchOptions& options);

}  // namespace orrery::batch
