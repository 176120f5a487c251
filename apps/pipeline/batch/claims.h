// Who works on what, for several processes on one shared folder. A process has a lease, a file that it touches while it
// lives; a claim on a job is a hard link to the lease, because making one is atomic and carries its owner's name, over
// NFS too. A dead owner's claim is not removed but outbid: the next generation (ID.1 after ID.0) can be made only once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace orrery::batch {

struct ClaimOptions {
  /// A lease of another machine counts as dead when nothing touched it for so long, by our own clock. One of this
  /// machine is dead when its process is.
  double stale_seconds = 60;
  double touch_seconds = 5;
};

/// From any thread.
class Claims {
 public:
  /// Makes the folder and this process's lease. Throws InputError when the folder cannot hold them.
  explicit Claims(std::filesystem::path folder, ClaimOptions options = {});
  /// Gives up all claims and the lease.
  ~Claims();
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  /// This process's name among the others, a plain file name.
  const std::string& worker() const { return worker_; }

  enum class Answer { taken, mine, mine_after_dead };
  /// Takes the job unless a living process has it. mine_after_dead: somebody died over it.
  Answer claim(const std::string& id);
  /// Whether nobody has outbid us, because we seemed dead, or removed our lease.
  bool still_mine(const std::string& id);
  void release(const std::string& id);
  /// Whether the worker of that name is dead or gone.
  bool is_dead(const std::string& worker);
  /// Leases of dead workers without claims are removed.
  void sweep();

 private:
  std::filesystem::path lease_path(const std::string& worker) const { return folder_ / ("worker-" + worker); }
  std::filesystem::path claim_path(const std::string& id, int generation) const {
    return folder_ / ("job-" + id + "." + std::to_string(generation));
  }
  bool dead(const std::filesystem::path& lease);
  void keep_alive();

  struct Seen {
    std::int64_t touched = 0;  // its modification time, by its server's clock
    double since = 0;          // by ours
  };

  std::filesystem::path folder_;
  ClaimOptions options_;
  std::string worker_;
  std::mutex mutex_;
  std::map<std::string, int> mine_;  // id → generation
  std::map<std::string, Seen> seen_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;  // last: it uses the above
};

}  // namespace orrery::batch
