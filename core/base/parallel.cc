#include "core/base/parallel.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <mutex>

namespace orrery {

void set_thread_count(int count) { omp_set_num_threads(std::max(1, count)); }

int thread_count() { return omp_get_max_threads(); }

void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  const std::int64_t blocks =
      std::clamp<std::int64_t>(count / std::max<std::int64_t>(1, grain), 1, omp_in_parallel() ? 1 : thread_count());
  if (blocks == 1) {
    body(0, count);
    return;
  }
  std::exception_ptr first_error;
  std::mutex error_mutex;
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(blocks))
  for (std::int64_t block = 0; block < blocks; ++block) {
    try {
      body(count * block / blocks, count * (block + 1) / blocks);
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!first_error) first_error = std::current_exception();
    }
  }
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace orrery
