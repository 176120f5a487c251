// One queue of jobs for all ranks of an MPI job. MPI is in mpi_queue.cc and nowhere else.
#pragma once

#include <memory>

#include "apps/pipeline/batch/batch.h"

namespace orrery::cli {

/// Rank 0 hands out the jobs, one at a time, while it makes clips itself. Nothing when this process was not started by
/// mpirun beside others, or when the build has no MPI: then claims on the folder alone divide the work. A rank that
/// dies is survived where mpirun lets the others live (Open MPI: mpirun --enable-recovery), rank 0 too: who gets no
/// answer goes by the claims.
std::unique_ptr<batch::JobQueue> open_mpi_queue();

}  // namespace orrery::cli
