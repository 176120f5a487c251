// Processes that train one model together, each on its own batches: data parallel. The trainer knows this interface
// only.
#pragma once

#include <span>

namespace orrery {

class RankGroup {
 public:
  virtual ~RankGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// In place: each value becomes its sum over all ranks, the same bits on each. Every rank calls it with as many
  /// values, in the same order of calls. Throws Error when a rank is gone.
  virtual void sum(std::span<float> values) = 0;
  virtual void sum(std::span<double> values) = 0;
};

}  // namespace orrery
