// What each op achieves beside what the machine gives at best, measured in turns in the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/io/json.h"

namespace orrery::pipeline {

struct OpBenchOptions {
  double seconds = 0.3;         ///< a row: the op and its ceiling take turns so long
  bool processor_time = false;  ///< count the process's processor time: for one thread on a busy machine
  std::string only;             ///< rows whose name holds this; empty: all
};

/// One op at one shape. Rates in GFLOP/s or, where `bandwidth`, GB/s.
struct OpBenchRow {
  std::string name, dtype, shape;
  std::string against;  ///< what the ceiling is: the bare product of the same shape, a large one, or a copy
  bool bandwidth = false;
  double rate = 0, ceiling = 0;
  double share = 0;  ///< the least time that the ceilings allow, by the time taken
};

struct MachineCeilings {
  int threads = 1;
  bool bf16_products = false;     ///< the machine has instructions for them; else bf16 is multiplied as f32
  double f32 = 0, bf16 = 0;       ///< GFLOP/s of the library's own product of 1,536³
  double cached = 0, memory = 0;  ///< GB/s of a copy within 4 MiB, and within 256 MiB
};

struct OpBench {
  MachineCeilings machine;
  std::vector<OpBenchRow> rows;
};

OpBench bench_ops(const OpBenchOptions& options, const std::function<void(std::int64_t)>& update = {});

Json op_bench_json(const OpBench& bench);
std::string op_bench_table(const OpBench& bench);

}  // namespace orrery::pipeline
