#include "physics_eval/worlds/parameters.h"

#include <cmath>

#include "core/base/error.h"

namespace orrery::worlds {

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

double Parameters::draw(const std::string& name, Interval in, const std::vector<Interval>& out) {
  const auto seen = values_.find(name);
  if (seen != values_.end()) return seen->second;
  const auto given = overrides_.find(name);
  if (given != overrides_.end()) {
    ORRERY_CHECK(std::isfinite(given->second), "[worlds] ", name, " is ", given->second, ", expected a finite number");
    return values_[name] = given->second;
  }
  Random random = this->random(name);
  if (split_ == Split::in_distribution || out.empty()) return values_[name] = random.uniform(in.low, in.high);
  double total = 0;
  for (const Interval& range : out) total += range.high - range.low;
  double at = random.uniform(0, total);
  for (const Interval& range : out) {
    const double span = range.high - range.low;
    if (at < span) return values_[name] = range.low + at;
    at -= span;
  }
  return values_[name] = out.back().high;
}

int Parameters::draw_integer(const std::string& name, int low, int high) {
  const double value = draw(name, {static_cast<double>(low), static_cast<double>(high) + 1});
  const int whole = static_cast<int>(std::floor(value));
  ORRERY_CHECK(whole >= low && whole <= high, "[worlds] ", name, " is ", value, ", expected a whole number in ", low,
               "…", high);
  values_[name] = whole;
  return whole;
}

bool Parameters::draw_flag(const std::string& name, double probability) {
  const double value = draw(name, {0, 1});
  const bool flag = overrides_.count(name) != 0 ? value != 0 : (value < probability);
  return flag;
}

void Parameters::check_overrides_used(std::string_view scene) const {
  for (const auto& [name, value] : overrides_) {
    if (values_.count(name) != 0) continue;
    std::string known;
    for (const auto& [have, unused] : values_) known += (known.empty() ? "" : ", ") + have;
    throw InputError("[worlds] scene " + std::string(scene) + " has no parameter '" + name +
                     "', expected one of: " + known);
  }
}

}  // namespace orrery::worlds
