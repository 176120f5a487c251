// orrery bench ops: each op beside the machine's own ceilings.
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/orrery/command_bench.h"
#include "apps/pipeline/op_bench.h"
#include "core/base/progress.h"

namespace orrery::cli {

void add_bench_ops(CLI::App& parent, CommonOptions& common) {
  CLI::App* command = parent.add_subcommand("ops", "What each op achieves beside the machine's own ceilings");
  auto options = std::make_shared<pipeline::OpBenchOptions>();
  command->add_option("--seconds", options->seconds, "A row: the op and its ceiling take turns so long")
      ->check(CLI::Range(0.01, 60.0))
      ->capture_default_str();
  command->add_option("--only", options->only, "Rows whose name holds this");
  command->add_flag("--processor-time", options->processor_time,
                    "Count processor time instead of the clock's: with --threads 1, on a busy machine");
  command->footer("Example: orrery bench ops --only attention");
  command->callback([options, &common] {
    Progress bar("bench", "rows", 0);
    const pipeline::OpBench bench = pipeline::bench_ops(*options, [&bar](std::int64_t done) { bar.update(done); });
    std::printf("%s", common.json ? (pipeline::op_bench_json(bench).dump() + "\n").c_str()
                                  : pipeline::op_bench_table(bench).c_str());
  });
}

}  // namespace orrery::cli
