#include "apps/pipeline/batch/claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <vector>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/json.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "host";
}

// This boot of this machine, and its numbering of processes: within one, a process number means something.
std::string process_space() {
  std::error_code error;
  const fs::path space = fs::read_symlink("/proc/self/ns/pid", error);
  const std::string boot = first_line("/proc/sys/kernel/random/boot_id");
  return error || boot.empty() ? "" : host_name() + " " + boot + " " + space.string();
}

struct ProcessState {
  char state = '?';
  std::string started;  // clock ticks after boot
};

// Of a process of this machine; none when there is none of that number.
std::optional<ProcessState> process_state(std::int64_t number) {
  std::ifstream in("/proc/" + std::to_string(number) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return std::nullopt;
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(name_end + 1));
  ProcessState result;
  std::string field;
  rest >> result.state;
  constexpr int kStartTime = 22;  // proc(5); the state is field 3
  for (int i = 4; i <= kStartTime; ++i) rest >> field;
  result.started = field;
  return result;
}

std::string random_name() {
  std::random_device device;
  std::ostringstream out;
  out << std::hex << device() << device();
  return out.str();
}

}  // namespace

Claims::Claims(fs::path folder, ClaimOptions options) : folder_(std::move(folder)), options_(options) {
  std::error_code error;
  fs::create_directories(folder_, error);
  ORRERY_CHECK(!error, "cannot make ", folder_.string(), ": ", error.message());
  std::string host;
  for (const char c : host_name().substr(0, 40))
    host += (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-') ? c : '-';
  worker_ = host + "-" + std::to_string(getpid()) + "-" + random_name();
  const auto self = process_state(getpid());
  const Json lease = Json::object({{"worker", worker_},
                                   {"space", process_space()},
                                   {"process", static_cast<std::int64_t>(getpid())},
                                   {"started", self ? self->started : ""}});
  write_file(lease_path(worker_), lease.dump() + "\n");
  thread_ = std::thread([this] { keep_alive(); });
}

Claims::~Claims() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
  for (const auto& [id, generation] : mine_) ::unlink(claim_path(id, generation).c_str());
  ::unlink(lease_path(worker_).c_str());
}

void Claims::keep_alive() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, std::chrono::duration<double>(options_.touch_seconds), [this] { return end_; }))
    ::utimensat(AT_FDCWD, lease_path(worker_).c_str(), nullptr, 0);
}

// Under the mutex.
bool Claims::dead(const fs::path& lease) {
  struct stat status {};
  if (::stat(lease.c_str(), &status) != 0) return false;  // given up just now: no reason to outbid
  std::string worker, space, started;
  std::int64_t number = 0;
  try {
    const Json json = Json::read(lease);
    worker = json.find("worker")->as_string(), space = json.find("space")->as_string();
    number = json.find("process")->as_integer(), started = json.find("started")->as_string();
  } catch (const std::exception&) {
    worker = lease.filename().string();  // unreadable: only its age counts
  }
  if (worker == worker_) return false;
  if (!space.empty() && space == process_space()) {
    const auto process = process_state(number);
    return !process || process->started != started || process->state == 'Z' || process->state == 'X';
  }
  const std::int64_t touched = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  const auto [entry, fresh] = seen_.try_emplace(worker, Seen{touched, now()});
  if (!fresh && entry->second.touched != touched) entry->second = {touched, now()};
  return now() - entry->second.since > options_.stale_seconds;
}

Claims::Answer Claims::claim(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const fs::path lease = lease_path(worker_);
  for (int generation = 0;; ++generation) {
    const fs::path path = claim_path(id, generation);
    bool made = ::link(lease.c_str(), path.c_str()) == 0;
    const int error = errno;
    if (!made && error == EEXIST) {
      // A server may have made the link and lost the answer.
      struct stat ours {
      }, theirs{};
      made = mine_.count(id) == 0 && ::stat(lease.c_str(), &ours) == 0 && ::stat(path.c_str(), &theirs) == 0 &&
             ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
    }
    if (made) {
      mine_[id] = generation;
      return generation == 0 ? Answer::mine : Answer::mine_after_dead;
    }
    if (error == ENOSPC || error == EDQUOT)
      throw DiskFullError("cannot claim " + path.string() + ": " + std::strerror(error));
    ORRERY_ASSERT(error == EEXIST, "cannot claim ", path.string(), ": ", std::strerror(error),
                  "; batch needs a file system with hard links");
    if (!dead(path)) return Answer::taken;
  }
}

bool Claims::still_mine(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = mine_.find(id);
  if (found == mine_.end()) return false;
  return ::access(claim_path(id, found->second).c_str(), F_OK) == 0 &&
         ::access(claim_path(id, found->second + 1).c_str(), F_OK) != 0;
}

void Claims::release(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = mine_.find(id);
  if (found == mine_.end()) return;
  // Those below are of the dead. Whoever takes generation 0 meanwhile reads the journal before working.
  for (int generation = 0; generation < found->second; ++generation) {
    const fs::path path = claim_path(id, generation);
    if (dead(path)) ::unlink(path.c_str());
  }
  ::unlink(claim_path(id, found->second).c_str());
  mine_.erase(found);
}

bool Claims::is_dead(const std::string& worker) {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  return !fs::exists(lease_path(worker), error) || dead(lease_path(worker));
}

void Claims::sweep() {
  const std::lock_guard lock(mutex_);
  std::vector<fs::path> gone;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    struct stat status {};
    if (entry.path().filename().string().rfind("worker-", 0) == 0 && ::stat(entry.path().c_str(), &status) == 0 &&
        status.st_nlink == 1 && dead(entry.path()))
      gone.push_back(entry.path());
  }
  for (const fs::path& path : gone) ::unlink(path.c_str());
}

}  // namespace orrery::batch
