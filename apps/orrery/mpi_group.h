// The processes that mpirun started, as a group that trains together.
#pragma once

#include <memory>

#include "core/train/rank_group.h"

namespace orrery::cli {

/// Those that this process was started with; null when it is alone or the build has no MPI. At most once a process.
std::shared_ptr<RankGroup> open_mpi_group();

}  // namespace orrery::cli
