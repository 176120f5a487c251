// The lightning indexer of generation (kernels/api/decode.h): a lane is a key, so that a score is one sum over the
// dimensions and one over the heads, whatever the vector's width. The best keys come from one pass over the scores: a
// key below the worst of the best so far costs one comparison.
#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/api/decode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/decode_index.cc"
#include "hwy/foreach_target.h"
// clang-format: foreach_target.h comes first
#include "hwy/highway.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

#ifndef ORRERY_KERNELS_CPU_DECODE_INDEX_ONCE
#define ORRERY_KERNELS_CPU_DECODE_INDEX_ONCE
namespace orrery {

// The best of keys that come in ascending order.
class BestKeys {
 public:
  explicit BestKeys(std::int64_t top) : top_(static_cast<std::size_t>(top)) {}

  /// Scores that are not above it need not be added: of equal scores the lower key, which came before, wins.
  float bar() const { return bar_; }
  void add(float score, std::int64_t key) {
    if (!(score > bar_)) return;
    found_.emplace_back(-score, static_cast<std::int32_t>(key));
    if (found_.size() >= 2 * top_ + 64) trim();
  }
  void add_all(const BestKeys& other) { found_.insert(found_.end(), other.found_.begin(), other.found_.end()); }
  void trim() {
    if (found_.size() <= top_) return;
    const auto worst = found_.begin() + static_cast<std::ptrdiff_t>(top_) - 1;
    std::nth_element(found_.begin(), worst, found_.end());
    bar_ = -worst->first;
    found_.resize(top_);
  }
  const std::vector<std::pair<float, std::int32_t>>& found() const { return found_; }

 private:
  std::size_t top_;
  float bar_ = -std::numeric_limits<float>::infinity();
  std::vector<std::pair<float, std::int32_t>> found_;  ///< −score and key: sorted as the choice is
};

}  // namespace orrery
#endif  // once

HWY_BEFORE_NAMESPACE();
namespace orrery::HWY_NAMESPACE {

namespace {

static_assert(kIndexBlock % (2 * kLanes) == 0);

// Adds the heads from h on to the scores of two vectors of keys.
template <int heads, class K>
HWY_INLINE void add_heads(const DecodeIndexArgs& args, const K* keys, std::int64_t h, Vec& first, Vec& second) {
  Vec dot[2 * heads];
  for (Vec& sum : dot) sum = zero();
  const float* q = args.q + h * args.dim;
  for (std::int64_t d = 0; d < args.dim; ++d) {
    const Vec k0 = load(keys + d * kIndexBlock), k1 = load(keys + d * kIndexBlock + kLanes);
    for (int i = 0; i < heads; ++i) {
      const Vec value = set(q[i * args.dim + d]);
      dot[2 * i] = hn::MulAdd(value, k0, dot[2 * i]);
      dot[2 * i + 1] = hn::MulAdd(value, k1, dot[2 * i + 1]);
    }
  }
  for (int i = 0; i < heads; ++i) {
    const Vec weight = set(args.w[h + i]);
    first = hn::MulAdd(weight, hn::Max(dot[2 * i], zero()), first);
    second = hn::MulAdd(weight, hn::Max(dot[2 * i + 1], zero()), second);
  }
}

template <class K>
void best_of(const DecodeIndexArgs& args, std::int64_t begin, std::int64_t end, BestKeys& best) {
  HWY_ALIGN float scores[kIndexBlock];
  for (std::int64_t block = begin; block < end; ++block) {
    const K* keys = static_cast<const K*>(args.keys) + block * args.dim * kIndexBlock;
    const std::int64_t base = block * kIndexBlock, count = std::min(kIndexBlock, args.visible - base);
    auto above = hn::Lt(zero(), zero());
    for (std::int64_t lane = 0; lane < count; lane += 2 * kLanes) {
      Vec first = zero(), second = zero();
      std::int64_t h = 0;
      for (; h + 4 <= args.heads; h += 4) add_heads<4>(args, keys + lane, h, first, second);
      for (; h + 2 <= args.heads; h += 2) add_heads<2>(args, keys + lane, h, first, second);
      if (h < args.heads) add_heads<1>(args, keys + lane, h, first, second);
      if (args.scales) {
        // Behind the last key there may be no scale to load: those lanes are not looked at.
        const std::int64_t left = count - lane;
        const float* scales = args.scales + base + lane;
        first = hn::Mul(first, left >= kLanes ? load(scales) : load_part(scales, left));
        if (left > kLanes)
          second =
              hn::Mul(second, left >= 2 * kLanes ? load(scales + kLanes) : load_part(scales + kLanes, left - kLanes));
      }
      store(first, scores + lane);
      store(second, scores + lane + kLanes);
      const Vec bar = set(best.bar());
      above = hn::Or(above, hn::Or(hn::Gt(first, bar), hn::Gt(second, bar)));
    }
    if (hn::AllFalse(Floats(), above)) continue;
    for (std::int64_t i = 0; i < count; ++i) best.add(scores[i], base + i);
  }
}

}  // namespace

void run_decode_index(const DecodeIndexArgs& args) {
  const std::int64_t blocks = (args.visible + kIndexBlock - 1) / kIndexBlock;
  constexpr std::int64_t kGrain = 512;
  BestKeys best(args.top);
  std::mutex mutex;
  parallel_blocks(blocks, kGrain, [&](std::int64_t begin, std::int64_t end) {
    BestKeys mine(args.top);
    if (args.dtype == DType::i8) {
      best_of<std::int8_t>(args, begin, end, mine);
    } else if (args.dtype == DType::bf16) {
      best_of<BFloat16>(args, begin, end, mine);
    } else {
      best_of<float>(args, begin, end, mine);
    }
    const std::lock_guard lock(mutex);  // which is the best does not depend on the order
    best.add_all(mine);
  });
  best.trim();
  std::int32_t* out = args.chosen;
  for (const auto& [score, key] : best.found()) *out++ = key;
  std::sort(args.chosen, out);
}

}  // namespace orrery::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace orrery {

namespace {
HWY_EXPORT(run_decode_index);
}  // namespace

void add_decode_index_kernels() {
  add_kernel<DecodeIndexArgs>(Device::cpu, "highway", [](const DecodeIndexArgs& args) {
    HWY_DYNAMIC_DISPATCH(run_decode_index)(args);
  });
}

}  // namespace orrery
#endif  // HWY_ONCE
