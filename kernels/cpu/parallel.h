// OpenMP loops for this folder. Blocks are independent, or their number is fixed by the shape: never by the threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>

namespace orrery {

/// Keeps the first exception of a parallel region, which must not leave it, and throws it after the region.
class FirstError {
 public:
  template <class Body>
  void guard(const Body& body) {
    try {
      body();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

/// Runs body(begin, end) over [0, count) in contiguous blocks of at least `grain`, at most one a thread.
template <class Body>
void parallel_blocks(std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  const std::int64_t most = omp_in_parallel() ? 1 : omp_get_max_threads();
  const std::int64_t blocks = std::clamp<std::int64_t>(count / std::max<std::int64_t>(1, grain), 1, most);
  if (blocks == 1) {
    body(std::int64_t{0}, count);
    return;
  }
  FirstError error;
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(blocks))
  for (std::int64_t block = 0; block < blocks; ++block)
    error.guard([&] { body(count * block / blocks, count * (block + 1) / blocks); });
  error.rethrow();
}

/// Runs body(index) for each index in [0, count), handed out as threads get free.
template <class Body>
void parallel_tasks(std::int64_t count, const Body& body) {
  if (count <= 1 || omp_in_parallel() || omp_get_max_threads() == 1) {
    for (std::int64_t index = 0; index < count; ++index) body(index);
    return;
  }
  FirstError error;
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t index = 0; index < count; ++index) error.guard([&] { body(index); });
  error.rethrow();
}

/// out[i] = Σ_r rows[r][i], r in order: joins the shares of chunks.
inline void add_rows(const float* rows, std::int64_t count, std::int64_t width, float* out) {
  std::fill(out, out + width, 0.0f);
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t i = 0; i < width; ++i) out[i] += rows[r * width + i];
}

}  // namespace orrery
