#include "core/base/random.h"

#include <cmath>
#include <numbers>

namespace orrery {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMul0 * counter[0];
    const std::uint64_t product1 = kMul1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

std::uint32_t Random::next_u32() {
  const std::uint64_t word = position_ & 3;
  if (word == 0) {
    const std::uint64_t index = position_ >> 2;
    block_ = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                     static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                    {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
  }
  ++position_;
  return block_[word];
}

void Random::seek(std::uint64_t position) {
  position_ = position & ~std::uint64_t{3};
  while (position_ < position) next_u32();
}

double Random::uniform() {
  const std::uint64_t high = next_u32() >> 5, low = next_u32() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

std::uint64_t Random::below(std::uint64_t count) {
  // Rejection keeps it exactly uniform.
  const std::uint64_t limit = count * (~std::uint64_t{0} / count);
  std::uint64_t value = next_u64();
  while (value >= limit) value = next_u64();
  return value % count;
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

Random Random::fork(std::uint64_t label) const {
  const auto mixed = philox({static_cast<std::uint32_t>(label), static_cast<std::uint32_t>(label >> 32),
                             static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                            {static_cast<std::uint32_t>(seed_) ^ 0x6F727265u, static_cast<std::uint32_t>(seed_ >> 32)});
  return Random((std::uint64_t{mixed[0]} << 32) | mixed[1], (std::uint64_t{mixed[2]} << 32) | mixed[3]);
}

}  // namespace orrery
