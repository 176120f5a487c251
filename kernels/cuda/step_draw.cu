// Drawing codes: a block a sequence sorts what its filters leave, sums it in the host's order in f64, and walks the
// extra digits. core/generate/sampler.cc and code_draw.cc say what is meant; the functions here follow them line by
// line.
#include <bit>
#include <cmath>

#include "kernels/api/decode_draw.h"
#include "kernels/api/registry.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rows.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 256;

struct Smaller {
  template <class T>
  ORRERY_ON_DEVICE T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

// A candidate as a number: the likelier one's is lower, of equals the lower index's.
ORRERY_ON_DEVICE std::uint64_t rank_of(float logit, std::int64_t index) {
  const std::uint32_t bits = float_bits(logit == 0 ? 0.0f : logit);
  const std::uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{~ascending} << 32 | static_cast<std::uint32_t>(index);
}

// Uniform in [0, 1), 53 bits (core/base/random.h: Philox4x32-10).
ORRERY_ON_DEVICE double uniform_at(std::uint64_t seed, std::uint64_t position) {
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
                              0x73616D70u, 0};
  std::uint32_t key[2] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0], b = std::uint64_t{0xCD9E8D57u} * counter[2];
    const std::uint32_t next[4] = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    for (int i = 0; i < 4; ++i) counter[i] = next[i];
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return static_cast<double>((std::uint64_t{counter[0]} << 32 | counter[1]) >> 11) * 0x1.0p-53;
}

// A block's memory while it draws.
struct Places {
  unsigned char* reduce;
  std::int32_t *counts, *result;
  std::uint64_t* ranks;
  double* weights;
  float *units, *without, *logits;
};

ORRERY_ON_DEVICE void sort(const Block& block, std::uint64_t* ranks, int size) {
  for (int length = 2; length <= size; length *= 2)
    for (int apart = length / 2; apart > 0; apart /= 2) {
      block.sync();
      for (int i = block.thread; i < size / 2; i += block.threads) {
        const int low = i / apart * 2 * apart + i % apart, high = low + apart;
        const bool ascending = (low & length) == 0;
        const std::uint64_t a = ranks[low], b = ranks[high];
        if ((b < a) == ascending) ranks[low] = b, ranks[high] = a;
      }
    }
  block.sync();
}

// The candidates that `least` leaves, sorted; returns how many.
template <class Logit>
ORRERY_ON_DEVICE int sorted_candidates(const Block& block, const Places& at, const StepDraw& draw, double largest,
                                       std::int64_t count, const Logit& logit) {
  // A bit for each of the thread's logits that stays.
  static_assert(StepDrawArgs::kMostCodes <= 32 * kThreads);
  unsigned kept = 0;
  for (int k = 0; k * block.threads + block.thread < count; ++k)
    if ((static_cast<double>(logit(k * block.threads + block.thread)) - largest) / draw.temperature >= draw.least)
      kept |= 1u << k;
  // Where they go: behind those of the threads before.
  const int mine = std::popcount(kept);
  int before = mine;
  for (int step = 1; step < kWarp; step *= 2) {
    const int other = shuffle(before, (block.lane() - step) & (kWarp - 1));
    if (block.lane() >= step) before += other;
  }
  if (block.lane() == kWarp - 1) at.counts[block.warp()] = before;
  block.sync();
  int place = before - mine, found = 0;
  for (int w = 0; w < block.warps(); ++w) {
    if (w < block.warp()) place += at.counts[w];
    found += at.counts[w];
  }
  for (; kept != 0; kept &= kept - 1) {
    const std::int64_t i = std::countr_zero(kept) * block.threads + block.thread;
    at.ranks[place++] = rank_of(logit(i), i);
  }
  int size = 1;
  while (size < found) size *= 2;
  for (int i = found + block.thread; i < size; i += block.threads) at.ranks[i] = ~std::uint64_t{0};
  sort(block, at.ranks, size);
  return draw.top_k > 0 && draw.top_k < found ? static_cast<int>(draw.top_k) : found;
}

// The index drawn from `count` logits, or −1 where one is not a number.
template <class Logit>
ORRERY_ON_DEVICE std::int32_t sample(const Block& block, const Places& at, const StepDraw& draw, std::uint64_t position,
                                     std::int64_t count, const Logit& logit) {
  std::uint64_t best = ~std::uint64_t{0};
  std::int32_t broken = 0;
  for (std::int64_t i = block.thread; i < count; i += block.threads) {
    const float mine = logit(i);
    broken += mine == mine ? 0 : 1;
    best = Smaller()(best, rank_of(mine, i));
  }
  best = block_reduce(block, best, Smaller(), at.reduce);
  broken = block_sum(block, broken, at.reduce);
  const auto likeliest = static_cast<std::int32_t>(best & 0xFFFFFFFFu);
  const auto largest = static_cast<double>(logit(likeliest));
  if (broken > 0 || !(fabs(largest) < static_cast<double>(INFINITY))) return -1;
  if (draw.temperature == 0 || draw.top_k == 1) return likeliest;
  const int kept = sorted_candidates(block, at, draw, largest, count, logit);
  for (int i = block.thread; i < kept; i += block.threads) {
    const auto index = static_cast<std::int64_t>(at.ranks[i] & 0xFFFFFFFFu);
    at.weights[i] = exp((static_cast<double>(logit(index)) - largest) / draw.temperature);
  }
  block.sync();
  if (block.thread == 0) {
    double total = 0;
    for (int i = 0; i < kept; ++i) total += at.weights[i];
    int last = kept - 1;
    if (draw.top_p < 1) {
      double sum = 0;
      for (int i = 0; i < kept; ++i) {
        sum += at.weights[i];
        if (sum >= draw.top_p * total) {
          last = i;
          break;
        }
      }
      total = sum;
    }
    double left = uniform_at(draw.seed, position) * total;
    int chosen = 0;
    for (; chosen < last; ++chosen) {
      left -= at.weights[chosen];
      if (left < 0) break;
    }
    *at.result = static_cast<std::int32_t>(at.ranks[chosen] & 0xFFFFFFFFu);
  }
  block.sync();
  const std::int32_t result = *at.result;
  block.sync();
  return result;
}

struct Draw {
  StepDrawArgs args;
  std::int64_t room;  ///< of sorted candidates

  ORRERY_ON_DEVICE Places places(const Block& block) const {
    Places at{};
    at.reduce = block.memory;
    at.counts = reinterpret_cast<std::int32_t*>(block.memory + kReduceBytes);
    at.result = at.counts + kThreads / kWarp;
    at.ranks = reinterpret_cast<std::uint64_t*>(block.memory + 2 * kReduceBytes);
    at.weights = reinterpret_cast<double*>(at.ranks + room);
    at.units = reinterpret_cast<float*>(at.weights + room);
    at.without = at.units + args.unit_count;
    at.logits = at.without + args.unit_count;
    return at;
  }
  static std::int64_t bytes(const StepDrawArgs& args, std::int64_t room) {
    std::int64_t longest = 0;
    for (int i = 0; i < args.ids.digits; ++i) longest = longest < args.ids.levels[i] ? args.ids.levels[i] : longest;
    return 2 * kReduceBytes + room * 16 + (2 * args.unit_count + longest) * std::int64_t{sizeof(float)};
  }

  // What the extra head's units see of the hidden state and the first digits.
  ORRERY_ON_DEVICE void write_units(const Block& block, const float* row, std::int32_t first, float* units) const {
    for (std::int64_t u = block.thread; u < args.unit_count; u += block.threads) {
      float sum = args.bias[u] + row[args.vocab + u];
      std::int32_t rest = first, column = 0;
      for (int digit = 0; digit < args.digits; ++digit) {
        sum += args.first[(column + rest % args.digit_levels[digit]) * args.unit_count + u];
        rest /= args.digit_levels[digit];
        column += args.digit_levels[digit];
      }
      units[u] = sum;
    }
  }

  // A digit's logit of one level, by a warp.
  ORRERY_ON_DEVICE float level_logit(const float* units, int digit, std::int64_t value, int lane) const {
    float sum = 0;
    for (std::int64_t i = lane; i < args.unit_width; i += kWarp) {
      const float own = units[digit * args.unit_width + i];
      sum = fmaf(own * sigmoid(own), args.out[value * args.unit_width + i], sum);
    }
    return args.out_bias[value] + warp_sum(sum);
  }

  // The extra digits' number, each drawn given those before it; −1 where a logit is not a number.
  ORRERY_ON_DEVICE std::int32_t walk(const Block& block, const Places& at, const StepDraw& draw) const {
    std::int32_t number = 0, place = 1, column = 0;
    for (int digit = 0; digit < args.ids.digits; ++digit) {
      const std::int32_t levels = args.ids.levels[digit];
      block.sync();
      for (std::int32_t level = block.warp(); level < levels; level += block.warps()) {
        float logit = level_logit(at.units, digit, column + level, block.lane());
        if (draw.without >= 0)
          logit = draw.guidance * logit +
                  (1.0f - draw.guidance) * level_logit(at.without, digit, column + level, block.lane());
        if (block.lane() == 0) at.logits[level] = logit;
      }
      block.sync();
      const std::uint64_t position = draw.position | (static_cast<std::uint64_t>(digit) + 1) << 48;
      const std::int32_t level =
          sample(block, at, draw, position, levels, [&](std::int64_t i) { return at.logits[i]; });
      if (level < 0) return -1;
      const float* seen = args.earlier + (column + level) * args.unit_count;
      for (std::int64_t u = block.thread; u < args.unit_count; u += block.threads) {
        at.units[u] += seen[u];
        if (draw.without >= 0) at.without[u] += seen[u];
      }
      number += level * place;
      place *= levels;
      column += levels;
    }
    return number;
  }

  ORRERY_ON_DEVICE std::int32_t draw_id(const Block& block, const StepDraw& draw) const {
    const Places at = places(block);
    const float* row = args.rows + draw.row * args.row_size;
    const float* without = draw.without >= 0 ? args.rows + draw.without * args.row_size : nullptr;
    const std::int32_t first =
        sample(block, at, draw, draw.position, args.ids.table_codes, [&, from = args.ids.first_code](std::int64_t i) {
          const float logit = row[from + i];
          if (without == nullptr) return logit;
          // Rounded before the sum, as the host has it: a product of two floats is exact in f64.
          const float base = without[from + i];
          return base + static_cast<float>(static_cast<double>(draw.guidance) * static_cast<double>(logit - base));
        });
    if (first < 0 || args.ids.digits == 0) return first < 0 ? -1 : args.ids.first_code + first;
    write_units(block, row, first, at.units);
    if (without != nullptr) write_units(block, without, first, at.without);
    const std::int32_t extra = walk(block, at, draw);
    return extra < 0 ? -1 : args.ids.first_code + first + args.ids.table_codes * extra;
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const StepDraw draw = args.draws[block.index];
    const std::int32_t id = draw_id(block, draw);
    block.sync();  // all have read the draw
    if (block.thread != 0) return;
    args.drawn[block.index * args.most + draw.drawn] = id;
    ++args.draws[block.index].position;
    ++args.draws[block.index].drawn;
    for (const std::int32_t at : {draw.row, draw.without}) {
      if (at < 0) continue;
      args.tokens[at].id = id < 0 ? args.ids.first_code : id;
      ++args.tokens[at].position;
    }
  }
};

std::int64_t room_of(const StepDrawArgs& args) {
  std::int64_t most = args.ids.table_codes, room = 1;
  for (int i = 0; i < args.ids.digits; ++i) most = most < args.ids.levels[i] ? args.ids.levels[i] : most;
  while (room < most) room *= 2;
  return room;
}

void draw(const StepDrawArgs& args) {
  const std::int64_t room = room_of(args);
  launch_blocks(StepDrawArgs::kOp, args.count, kThreads, Draw::bytes(args, room), Draw{args, room});
}

const char* few_codes(const StepDrawArgs& args) {
  return args.ids.table_codes <= StepDrawArgs::kMostCodes && Draw::bytes(args, room_of(args)) <= kMaxShared
             ? nullptr
             : "more codes than a block's memory can sort";
}

}  // namespace

void add_step_draw_kernels() { add_kernel<StepDrawArgs>(Device::cuda, "blocks", draw, few_codes); }

}  // namespace orrery::gpu
