// The kernels of generation against plain loops.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/backends.h"
#include "core/tensor/quantize.h"
#include "kernels/api/bfloat16.h"
#include "kernels/api/decode.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// Small integers, so that sums are exact in any order and equal scores are many.
std::vector<float> integers(std::int64_t count, std::uint64_t seed, int spread) {
  Random random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(
        static_cast<float>(static_cast<int>(random.below(static_cast<std::uint64_t>(2 * spread + 1))) - spread));
  return values;
}

template <class T>
std::vector<T> in_blocks(const std::vector<float>& keys, std::int64_t count, std::int64_t dim) {
  const std::int64_t blocks = (count + kIndexBlock - 1) / kIndexBlock;
  std::vector<T> out(static_cast<std::size_t>(blocks * kIndexBlock * dim));
  for (std::int64_t e = 0; e < count; ++e)
    for (std::int64_t d = 0; d < dim; ++d) {
      const float value = keys[static_cast<std::size_t>(e * dim + d)];
      const auto at = static_cast<std::size_t>((e / kIndexBlock * dim + d) * kIndexBlock + e % kIndexBlock);
      if constexpr (std::is_same_v<T, std::int8_t>) {
        out[at] = static_cast<std::int8_t>(value);
      } else {
        out[at] = from_float<T>(value);
      }
    }
  return out;
}

}  // namespace

TEST_CASE("decode_index: the best keys, of equal ones the lowest", "[decode]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16, DType::i8);
  const std::int64_t heads = GENERATE(1, 3, 4, 9), dim = GENERATE(1, 8, 33);
  const int threads = thread_count();
  for (const std::int64_t visible : {1, 31, 32, 33, 100, 40000}) {
    const std::vector<float> keys = integers(visible * dim, 1, 4), q = integers(heads * dim, 2, 3),
                             w = integers(heads, 3, 2);
    std::vector<float> scales;
    for (std::int64_t e = 0; e < visible; ++e)
      scales.push_back(dtype == DType::i8 ? 1.0f + static_cast<float>(e % 3) : 1.0f);
    std::vector<std::pair<double, std::int32_t>> order;
    for (std::int64_t e = 0; e < visible; ++e) {
      double score = 0;
      for (std::int64_t h = 0; h < heads; ++h) {
        double dot = 0;
        for (std::int64_t d = 0; d < dim; ++d)
          dot += double{q[static_cast<std::size_t>(h * dim + d)]} * keys[static_cast<std::size_t>(e * dim + d)];
        score += w[static_cast<std::size_t>(h)] * std::max(dot, 0.0);
      }
      order.emplace_back(-score * scales[static_cast<std::size_t>(e)], static_cast<std::int32_t>(e));
    }
    std::sort(order.begin(), order.end());
    const auto f32 = in_blocks<float>(keys, visible, dim);
    const auto bf16 = in_blocks<BFloat16>(keys, visible, dim);
    const auto i8 = in_blocks<std::int8_t>(keys, visible, dim);
    for (const std::int64_t top : {1, 7, 64, 600}) {
      const std::int64_t count = std::min(top, visible);
      std::vector<std::int32_t> expected, chosen(static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; ++i) expected.push_back(order[static_cast<std::size_t>(i)].second);
      std::sort(expected.begin(), expected.end());
      DecodeIndexArgs args;
      args.q = q.data(), args.w = w.data(), args.dtype = dtype;
      args.keys = dtype == DType::f32    ? static_cast<const void*>(f32.data())
                  : dtype == DType::bf16 ? static_cast<const void*>(bf16.data())
                                         : static_cast<const void*>(i8.data());
      args.scales = dtype == DType::i8 ? scales.data() : nullptr;
      args.visible = visible, args.heads = heads, args.dim = dim, args.top = top, args.chosen = chosen.data();
      for (const int count_of_threads : {1, 2}) {
        set_thread_count(count_of_threads);
        std::fill(chosen.begin(), chosen.end(), -1);
        ops::run(args);
        INFO(visible << " keys, the best " << top << ", " << count_of_threads << " threads");
        CHECK(chosen == expected);
      }
    }
  }
  set_thread_count(threads);
}

TEST_CASE("fixed_matmul: integers and their scales, each token as if it were alone", "[decode]") {
  const std::int64_t n = GENERATE(1, 5, 130), k = GENERATE(1, 32, 100);
  Random random(7);
  const Tensor w = Tensor::randn({n, k}, random), x = Tensor::randn({9, k}, random);
  const QuantizedRows rows = quantize_rows(w);
  const auto product = [&](std::int64_t first, std::int64_t tokens) {
    const Tensor y = Tensor::empty({tokens, n}), part = x.alias({tokens, k}, {k, 1}, first * k);
    ops::run(FixedMatmulArgs{part.view(), rows.values.view(), y.view(), rows.scales.data<float>()});
    return y.to_vector();
  };
  const std::vector<float> all = product(0, 9);
  for (std::int64_t t = 0; t < 9; ++t) {
    const std::vector<float> alone = product(t, 1);
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0, size = 0;
      for (std::int64_t j = 0; j < k; ++j) {
        const double term = double{x.data<float>()[t * k + j]} * rows.values.data<std::int8_t>()[i * k + j];
        sum += term, size += std::abs(term);
      }
      const double scale = rows.scales.data<float>()[i];
      const float found = all[static_cast<std::size_t>(t * n + i)];
      CHECK(found == alone[static_cast<std::size_t>(i)]);
      CHECK(std::abs(found - sum * scale) <= 1.2e-7 * (static_cast<double>(k) + 2) * size * scale);  // k roundings
      // And the integers are the weights within half a step.
      CHECK(std::abs(rows.values.data<std::int8_t>()[i * k] * scale - w.data<float>()[i * k]) <= 0.501 * scale);
    }
  }
}
