// Work on a thread of its own behind a bounded queue.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/parallel.h"

namespace orrery::pipeline {

template <class T>
class Worker {
 public:
  /// Calls work(item) for each pushed item in order, from one thread whose own parallel loops have one thread: the
  /// other cores belong to whoever pushes.
  Worker(std::size_t capacity, std::function<void(T)> work)
      : capacity_(capacity), work_(std::move(work)), thread_([this] { run(); }) {}
  /// Without finish() what is still queued is dropped.
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      queue_.clear();
    }
    join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Waits while the queue is full. Throws what the work threw.
  void push(T item) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return error_ || queue_.size() < capacity_; });
    if (error_) std::rethrow_exception(error_);
    queue_.push_back(std::move(item));
    lock.unlock();
    changed_.notify_all();
  }
  /// Waits for all of it. Throws what the work threw.
  void finish() {
    join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void run() {
    set_thread_count(1);
    try {
      for (;;) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
        if (queue_.empty()) return;
        T item = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        changed_.notify_all();
        work_(std::move(item));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }
  void join() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  std::size_t capacity_;
  std::function<void(T)> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> queue_;
  bool ended_ = false;  // no more items come
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace orrery::pipeline
