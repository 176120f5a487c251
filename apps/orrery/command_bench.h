// What `orrery bench` has in files of its own.
#pragma once

#include "apps/orrery/command.h"

namespace orrery::cli {

/// `bench ops`.
void add_bench_ops(CLI::App& parent, CommonOptions& common);

}  // namespace orrery::cli
