#include "apps/orrery/mpi_queue.h"

#ifdef ORRERY_MPI

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/error.h"

namespace orrery::cli {
namespace {

// Messages are {pass, job}; asking, the job means nothing; answering, -1 means that none is left.
using Message = std::array<std::int64_t, 2>;
constexpr int kAsk = 1, kAnswer = 2, kBye = 3;
constexpr std::int64_t kNone = -1;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class MpiQueue final : public batch::JobQueue {
 public:
  MpiQueue() {
    int provided = 0;
    ORRERY_ASSERT(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) == MPI_SUCCESS &&
                      provided >= MPI_THREAD_FUNNELED,
                  "[mpi] no MPI with threads");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }

  ~MpiQueue() override {
    // Rank 0 stays until the living have said goodbye, so that nobody waits for an answer; the dead say nothing.
    const double end = now() + kGoodbyeSeconds;
    pass_ = kEnd;
    if (rank_ != 0) send(kBye, 0, {kEnd, kNone});
    while (rank_ == 0 && goodbyes_ < size_ - 1 && now() < end) {
      pump();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    MPI_Finalize();
  }

  void begin(int pass, std::vector<std::int64_t> jobs) override {
    const std::lock_guard lock(mutex_);
    pass_ = pass, jobs_ = std::move(jobs), at_ = 0;
    ready_.clear();
    over_ = alone_;
  }

  std::optional<std::int64_t> next(const std::function<bool()>& stop) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    const double end = now() + kPatienceSeconds;
    while (ready_.empty() && !over_ && !stop() && now() < end) changed_.wait_for(lock, std::chrono::milliseconds(100));
    --waiting_;
    if (ready_.empty() && !over_ && !stop()) over_ = alone_ = true;  // rank 0 is gone
    if (ready_.empty()) return std::nullopt;
    const std::int64_t job = ready_.front();
    ready_.pop_front();
    return job;
  }

  void pump() override {
    const std::lock_guard lock(mutex_);
    rank_ == 0 ? serve() : ask();
    changed_.notify_all();
  }

  int processes() const override { return size_; }

 private:
  static constexpr double kPatienceSeconds = 20, kGoodbyeSeconds = 5;
  static constexpr std::int64_t kEnd = std::int64_t{1} << 40;

  void send(int tag, int to, Message message) {
    if (MPI_Send(message.data(), 2, MPI_INT64_T, to, tag, MPI_COMM_WORLD) != MPI_SUCCESS && rank_ != 0)
      over_ = alone_ = true;
  }
  bool receive(int tag, int from, Message& message, int& sender) {
    int there = 0;
    MPI_Status status;
    if (MPI_Iprobe(from, tag, MPI_COMM_WORLD, &there, &status) != MPI_SUCCESS || there == 0) return false;
    sender = status.MPI_SOURCE;
    return MPI_Recv(message.data(), 2, MPI_INT64_T, sender, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE) == MPI_SUCCESS;
  }

  std::int64_t take() { return at_ < jobs_.size() ? jobs_[at_++] : kNone; }

  void serve() {
    Message message{};
    int sender = 0;
    while (receive(kAsk, MPI_ANY_SOURCE, message, sender)) asking_[sender] = message[0];
    while (receive(kBye, MPI_ANY_SOURCE, message, sender)) ++goodbyes_;
    for (auto it = asking_.begin(); it != asking_.end();) {
      if (it->second > pass_) {
        ++it;  // it is ahead of us
        continue;
      }
      send(kAnswer, it->first, {it->second, it->second == pass_ ? take() : kNone});
      it = asking_.erase(it);
    }
    while (static_cast<int>(ready_.size()) < waiting_ && !over_) {
      const std::int64_t job = take();
      job == kNone ? static_cast<void>(over_ = true) : ready_.push_back(job);
    }
  }

  void ask() {
    Message message{};
    int sender = 0;
    while (receive(kAnswer, 0, message, sender)) {
      asked_ = false;
      if (message[0] != pass_) continue;
      message[1] == kNone ? static_cast<void>(over_ = true) : ready_.push_back(message[1]);
    }
    if (asked_ || over_ || static_cast<int>(ready_.size()) >= waiting_) return;
    asked_ = true;
    send(kAsk, 0, {pass_, kNone});
  }

  int rank_ = 0, size_ = 1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t pass_ = -1;
  std::vector<std::int64_t> jobs_;  // rank 0
  std::size_t at_ = 0;
  std::map<int, std::int64_t> asking_;  // rank → pass
  int goodbyes_ = 0;
  std::deque<std::int64_t> ready_;
  int waiting_ = 0;
  bool asked_ = false, over_ = false, alone_ = false;
};

}  // namespace

std::unique_ptr<batch::JobQueue> open_mpi_queue() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* text = std::getenv(name); text != nullptr && std::atoi(text) > 1)
      return std::make_unique<MpiQueue>();
  return nullptr;
}

}  // namespace orrery::cli

#else

namespace orrery::cli {

std::unique_ptr<batch::JobQueue> open_mpi_queue() { return nullptr; }

}  // namespace orrery::cli

#endif
