// The kernels of generation against plain loops.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/backends.h"
#include "core/ops/elementwise.h"
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

TEST_CASE("fixed_matmul: sums of integers are exact, each token as if it were alone", "[decode]") {
  const std::int64_t n = GENERATE(1, 5, 130), k = GENERATE(1, 32, 100, 2000);
  Random random(7);
  const Tensor w = Tensor::randn({n, k}, random), x = Tensor::randn({9, k}, random);
  const QuantizedRows rows = quantize_rows(w);
  const auto product = [&](std::int64_t first, std::int64_t tokens) {
    const Tensor y = Tensor::empty({tokens, n}), part = x.alias({tokens, k}, {k, 1}, first * k);
    const FixedMatmulArgs args{part.view(), rows.values.view(), y.view(), rows.scales.data<float>()};
    ops::run(FixedMatmulsArgs{&args, 1});
    return y.to_vector();
  };
  // Inputs are integers of as many bits as leave room for k products in 32, times a step.
  const double most = std::min<std::int64_t>(32767, 2147483647 / (128 * k));
  const std::vector<float> all = product(0, 9);
  for (std::int64_t t = 0; t < 9; ++t) {
    const std::vector<float> alone = product(t, 1);
    double top = 0;
    for (std::int64_t j = 0; j < k; ++j) top = std::max(top, std::abs(double{x.data<float>()[t * k + j]}));
    const double step = top / most;
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0, exact = 0, size = 0;
      for (std::int64_t j = 0; j < k; ++j) {
        const double weight = rows.values.data<std::int8_t>()[i * k + j], input = x.data<float>()[t * k + j];
        sum += std::nearbyint(static_cast<float>(input) * static_cast<float>(most / top)) * weight;
        exact += input * weight;
        size += std::abs(weight);
      }
      const double scale = rows.scales.data<float>()[i];
      const float found = all[static_cast<std::size_t>(t * n + i)];
      CHECK(found == alone[static_cast<std::size_t>(i)]);
      // Of the integers' sum: an input beside a half may be rounded the other way. Of the floats': half a step each.
      CHECK(std::abs(found - sum * step * scale) <= (2e-7 * std::abs(sum) + 128) * step * scale);
      CHECK(std::abs(found - exact * scale) <= (0.5001 * size + 2e-7 * std::abs(sum)) * step * scale);
      // And the integers are the weights within half a step.
      CHECK(std::abs(rows.values.data<std::int8_t>()[i * k] * scale - w.data<float>()[i * k]) <= 0.501 * scale);
    }
  }
}

TEST_CASE("fixed_matmul: products in one go are those of one by one, and inputs that are not finite stay so",
          "[decode]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16, DType::i8);
  const int threads = thread_count();
  Random random(8);
  const std::int64_t k = 70;
  const Tensor x = Tensor::randn({6, k}, random), other = Tensor::randn({1, k}, random);
  std::vector<Tensor> weights, scales;
  for (const std::int64_t n : {3, 700, 64}) {
    const Tensor w = Tensor::randn({n, k}, random);
    if (dtype == DType::i8) {
      const QuantizedRows rows = quantize_rows(w);
      weights.push_back(rows.values), scales.push_back(rows.scales);
    } else {
      weights.push_back(ops::cast(w, dtype)), scales.emplace_back();
    }
  }
  // The first two share their inputs.
  const std::vector<Tensor> inputs = {x, x, other};
  const auto job = [&](std::size_t i, const Tensor& y) {
    return FixedMatmulArgs{inputs[i].view(), weights[i].view(), y.view(),
                           scales[i].defined() ? scales[i].data<float>() : nullptr};
  };
  for (const int count_of_threads : {1, 2}) {
    set_thread_count(count_of_threads);
    std::vector<Tensor> together;
    std::vector<FixedMatmulArgs> jobs;
    for (std::size_t i = 0; i < 3; ++i) {
      together.push_back(Tensor::empty({inputs[i].dim(0), weights[i].dim(0)}));
      jobs.push_back(job(i, together[i]));
    }
    ops::run(FixedMatmulsArgs{jobs.data(), 3});
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor alone = Tensor::empty(together[i].shape());
      const FixedMatmulArgs one = job(i, alone);
      ops::run(FixedMatmulsArgs{&one, 1});
      CHECK(alone.to_vector() == together[i].to_vector());
    }
  }
  set_thread_count(threads);
  for (const float bad : {NAN, INFINITY}) {
    const Tensor spoilt = x.clone(), y = Tensor::empty({6, 3});
    spoilt.data<float>()[k + 5] = bad;
    FixedMatmulArgs args = job(0, y);
    args.x = spoilt.view();
    ops::run(FixedMatmulsArgs{&args, 1});
    CHECK(std::isfinite(y.data<float>()[0]));
    CHECK_FALSE(std::isfinite(y.data<float>()[3]));
  }
}
