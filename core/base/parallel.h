// Threads: one run time (OpenMP, which oneDNN uses too) behind one function.
#pragma once

#include <cstdint>
#include <functional>

namespace orrery {

/// Threads that parallel regions use; at least 1. Set once at start-up (--threads); default: the cores allowed to us.
void set_thread_count(int count);
int thread_count();

/// Runs body(begin, end) over [0, count) in contiguous blocks of at least `grain`. Exceptions of the body are rethrown
/// (the first one) after all blocks ended. Blocks must be independent: results may not depend on how they are cut.
void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace orrery
