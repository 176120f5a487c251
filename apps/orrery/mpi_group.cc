// Sums over ranks by MPI. By way of rank 0 (reduce, then broadcast), so that all ranks get the same bits whatever the
// library's tree: parameters then stay equal without being sent.
#include "apps/orrery/mpi_group.h"

#ifdef ORRERY_MPI

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/error.h"

namespace orrery::cli {

namespace {

class MpiGroup final : public RankGroup {
 public:
  MpiGroup() {
    int provided = 0;
    ORRERY_ASSERT(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) == MPI_SUCCESS &&
                      provided >= MPI_THREAD_FUNNELED,
                  "[mpi] no MPI with threads");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiGroup() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum(std::span<float> values) override { sum_as(values, MPI_FLOAT); }
  void sum(std::span<double> values) override { sum_as(values, MPI_DOUBLE); }

 private:
  template <typename T>
  void sum_as(std::span<T> values, MPI_Datatype type) {
    constexpr std::size_t kMost = std::size_t{1} << 24;  // a message's count is an int
    for (std::size_t at = 0; at < values.size(); at += kMost) {
      const std::span<T> part = values.subspan(at, std::min(kMost, values.size() - at));
      const int count = static_cast<int>(part.size());
      const void* from = rank_ == 0 ? MPI_IN_PLACE : part.data();
      const bool kept = MPI_Reduce(from, part.data(), count, type, MPI_SUM, 0, MPI_COMM_WORLD) == MPI_SUCCESS &&
                        MPI_Bcast(part.data(), count, type, 0, MPI_COMM_WORLD) == MPI_SUCCESS;
      ORRERY_ASSERT(kept, "[mpi] a rank is gone: start the training again, it goes on from the last checkpoint");
    }
  }

  int rank_ = 0, size_ = 1;
};

}  // namespace

std::shared_ptr<RankGroup> open_mpi_group() {
  // What Open MPI's and MPICH's launchers leave in the environment; without them MPI is not even started.
  const bool launched = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMI_SIZE") != nullptr;
  if (!launched) return nullptr;
  auto group = std::make_shared<MpiGroup>();
  return group->size() > 1 ? group : nullptr;
}

}  // namespace orrery::cli

#else

namespace orrery::cli {

std::shared_ptr<RankGroup> open_mpi_group() { return nullptr; }

}  // namespace orrery::cli

#endif
