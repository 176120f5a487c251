// The parameters of a world: drawn from stated ranges, each from its own random sequence (named by seed and parameter),
// so that setting one or adding one leaves all the others as they were.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"

namespace orrery::worlds {

/// Which of a parameter's ranges values come from.
enum class Split { in_distribution, out_of_distribution };

struct Interval {
  double low = 0, high = 0;
};

/// A 64-bit label of a name (FNV-1a), for Random's streams.
std::uint64_t name_hash(std::string_view name);

class Parameters {
 public:
  Parameters(std::uint64_t seed, Split split, std::map<std::string, double> overrides)
      : seed_(seed), split_(split), overrides_(std::move(overrides)) {}

  /// A value for `name`: the override, or uniform in `in`.
  double draw(const std::string& name, Interval in) { return draw(name, in, {}); }
  /// The same; out of distribution uniform over the union of `out` (when not empty).
  double draw(const std::string& name, Interval in, const std::vector<Interval>& out);
  /// An integer in [low, high].
  int draw_integer(const std::string& name, int low, int high);
  /// 1 with `probability`, else 0.
  bool draw_flag(const std::string& name, double probability);
  /// A random sequence for what is not a number with a name.
  Random random(std::string_view name) const { return Random(seed_, name_hash(name)); }

  Split split() const { return split_; }
  std::uint64_t seed() const { return seed_; }
  /// Every value so far, by name.
  const std::map<std::string, double>& values() const { return values_; }
  /// Throws InputError when an override named a parameter that was never asked for.
  void check_overrides_used(std::string_view scene) const;

 private:
  std::uint64_t seed_;
  Split split_;
  std::map<std::string, double> overrides_, values_;
};

}  // namespace orrery::worlds
