// One output folder: clips are finished out of sight and appear whole, journalled once, whatever happens in between.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "apps/pipeline/batch/claims.h"
#include "apps/pipeline/batch/journal.h"

namespace orrery::batch {

/// From any thread.
class ClipStore {
 public:
  /// Makes the folder's hidden part. Throws InputError when it cannot.
  ClipStore(const std::string& folder, const std::string& extension, ClaimOptions claims);
  ~ClipStore();

  enum class State { open, done, failed };
  /// What the journals say of a job; done only while its file is there.
  State state(const std::string& id);
  /// The hash of what the job's last line was made from; empty without one.
  std::string job_hash(const std::string& id);
  void refresh();

  /// Takes a job unless it is done, failed (but with `retry_failed`), or somebody's. Throws InputError (and holds the
  /// claim still) when a file of that name is there that no batch made, but with `force`.
  bool take(const std::string& id, bool retry_failed, bool force);
  /// Where the clip's file is to be written.
  std::string working_path(const std::string& id) const;
  /// Shows the clip and its sidecar under their names, records `line` and lets the claim go. False: somebody else took
  /// the job over, and nothing was done.
  bool publish(const std::string& id, Json line);
  /// Records a failure and lets the claim go.
  void fail(const std::string& id, Json line);
  void release(const std::string& id);

  /// Codes that an interrupted run had drawn of a job: kept, found again, dropped when the job is recorded.
  void keep_drawn(const std::string& id, const std::string& job, const std::vector<std::int32_t>& codes);
  std::vector<std::int32_t> drawn(const std::string& id, const std::string& job);

  /// All last words, those in `order` first and in its order.
  void write_manifest(const std::vector<std::string>& order);
  std::string file_name(const std::string& id) const { return id + extension_; }
  const std::string& worker() const { return claims_.worker(); }

 private:
  void record(const std::string& id, Json line);
  void sweep();

  Layout layout_;
  std::string extension_;
  std::mutex mutex_;
  Claims claims_;
  Journal journal_;
};

}  // namespace orrery::batch
