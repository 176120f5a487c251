// device_bench [cpu|cuda]: speeds of the ops that training spends its time in, at sizes of a small model, as CSV:
// op, milliseconds, GB/s of the bytes that must move, GFLOP/s. Median of repeated runs; "+backward" is both passes.
// device_bench DEVICE attention LENGTH: sparse attention over a long context, forward, 16 heads of 128, for
// scripts/measures/gpu_compare, as its CSV: what, by, milliseconds, TFLOP/s.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/hyper_connection.h"
#include "core/ops/indexing.h"
#include "core/ops/loss.h"
#include "core/ops/matmul.h"
#include "core/ops/moe.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/tensor/device.h"
#include "kernels/api/device_memory.h"

using namespace orrery;

namespace {

Device device = Device::cuda;

Tensor normal(Shape shape, DType dtype = DType::bf16) {
  // One block of numbers repeated: drawing hundreds of millions would take longer than what is measured.
  Random random(7);
  constexpr std::int64_t kBlock = 1 << 16;
  const std::vector<float> block = Tensor::randn({kBlock}, random).to_vector();
  Tensor x = Tensor::empty(shape);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = block[static_cast<std::size_t>(i % kBlock)];
  return x.to(device).to(dtype);
}

void wait() {
  if (device != Device::cpu) device_memory(device).synchronize();
}

struct Row {
  std::string name;
  std::function<Tensor(const std::vector<Tensor>&)> run;
  std::vector<Tensor> inputs;
  double bytes = 0, flops = 0;  ///< of the forward pass
};

double milliseconds(const std::function<void()>& once) {
  using Clock = std::chrono::steady_clock;
  once();
  wait();
  std::vector<double> times;
  double total = 0;
  while (times.size() < 3 || (total < 300 && times.size() < 50)) {
    const auto start = Clock::now();
    once();
    wait();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    total += times.back();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void measure(const Row& row) {
  const auto print = [&](const char* suffix, double time, double factor) {
    std::printf("%s%s,%.3f,%.0f,%.0f\n", row.name.c_str(), suffix, time, factor * row.bytes / time / 1e6,
                factor * row.flops / time / 1e6);
    std::fflush(stdout);
  };
  try {
    print("", milliseconds([&] {
            const NoGrad guard;
            row.run(row.inputs);
          }),
          1);
    std::vector<Tensor> leaves;
    for (const Tensor& input : row.inputs) {
      leaves.push_back(input.detach());
      if (input.dtype() != DType::i32) leaves.back().set_requires_grad(true);
    }
    const Tensor probe = row.run(leaves);
    if (!probe.requires_grad()) return;
    const Tensor seed = Tensor::full(probe.shape(), 1, probe.dtype(), device);
    print(" +backward", milliseconds([&] {
            for (const Tensor& leaf : leaves) leaf.clear_grad();
            backward(row.run(leaves), seed);
          }),
          3);
  } catch (const std::exception& error) {
    std::printf("%s,failed: %s\n", row.name.c_str(), error.what());
  }
}

Tensor picks(std::int64_t batch, std::int64_t length, std::int64_t count, std::int64_t entries) {
  const Tensor indices = Tensor::empty({batch, length, count}, DType::i32);
  std::int32_t* out = indices.data<std::int32_t>();
  for (std::int64_t i = 0; i < indices.numel(); ++i)
    out[i] = static_cast<std::int32_t>((i / count * 5 + i % count * 7) % entries);
  return indices.to(device);
}

Tensor expert_bounds(std::int64_t experts, std::int64_t rows) {
  const Tensor bounds = Tensor::empty({experts + 1}, DType::i32);
  for (std::int64_t e = 0; e <= experts; ++e)
    bounds.data<std::int32_t>()[e] = static_cast<std::int32_t>(rows * e / experts);
  return bounds.to(device);
}

void products() {
  for (const std::int64_t n : {1024, 4096}) {
    const double flops = 2.0 * static_cast<double>(n * n * n), bytes = 3.0 * static_cast<double>(n * n);
    const auto linear = [](const std::vector<Tensor>& in) { return ops::linear(in[0], in[1]); };
    measure({"linear bf16 " + std::to_string(n), linear, {normal({n, n}), normal({n, n})}, 2 * bytes, flops});
    measure({"linear f32 " + std::to_string(n),
             linear,
             {normal({n, n}, DType::f32), normal({n, n}, DType::f32)},
             4 * bytes,
             flops});
  }
  const std::int64_t rows = 32768, d = 1024, inner = 512, experts = 16;
  const Tensor bounds = expert_bounds(experts, rows);
  measure({"grouped_linear 32768x1024x1024 16 experts",
           [bounds](const std::vector<Tensor>& in) { return ops::grouped_linear(in[0], in[1], bounds); },
           {normal({rows, d}), normal({experts, 2 * inner, d})},
           2.0 * static_cast<double>(rows * (d + 2 * inner)),
           2.0 * static_cast<double>(rows * d * 2 * inner)});
}

void rows_of_numbers() {
  const std::int64_t rows = 65536, d = 1024;
  const double size = static_cast<double>(rows * d);
  measure({"add bf16 64M",
           [](const std::vector<Tensor>& in) { return ops::add(in[0], in[1]); },
           {normal({rows, d}), normal({rows, d})},
           6 * size,
           size});
  measure({"rms_norm 65536x1024",
           [](const std::vector<Tensor>& in) { return ops::rms_norm(in[0], in[1]); },
           {normal({rows, d}), normal({d}, DType::f32)},
           4 * size,
           3 * size});
  measure({"swiglu 65536x1024",
           [](const std::vector<Tensor>& in) { return ops::swiglu(in[0], 10.0f); },
           {normal({rows, 2 * d})},
           6 * size,
           8 * size});
  const std::int64_t tokens = 16384, n = 4;
  const double state = static_cast<double>(tokens * n * d);
  measure({"hc_pre 16384x4x1024",
           [](const std::vector<Tensor>& in) { return ops::hc_pre(in[0], in[1], in[2], in[3], {}).h; },
           {normal({tokens, n, d}), normal({(2 + n) * n, n * d}, DType::f32), normal({(2 + n) * n}, DType::f32),
            normal({3}, DType::f32)},
           2.5 * state,
           2.0 * 24 * state});
  measure({"hc_post 16384x4x1024",
           [](const std::vector<Tensor>& in) { return ops::hc_post(in[0], in[1], in[2], in[3]); },
           {normal({tokens, n, d}), normal({tokens, d}), normal({tokens, n}, DType::f32),
            normal({tokens, n, n}, DType::f32)},
           4.5 * state,
           10 * state});
  const std::int64_t vocabulary = 8192;
  Tensor targets = Tensor::empty({tokens}, DType::i32);
  for (std::int64_t i = 0; i < tokens; ++i)
    targets.data<std::int32_t>()[i] = static_cast<std::int32_t>(i * 37 % vocabulary);
  measure(
      {"linear_cross_entropy 16384x1024x8192",
       [targets](const std::vector<Tensor>& in) { return ops::linear_cross_entropy(in[0], in[1], targets, {}).total; },
       {normal({tokens, d}), normal({vocabulary, d}, DType::f32)},
       4.0 * static_cast<double>(tokens * vocabulary),
       2.0 * static_cast<double>(tokens * vocabulary * d)});
  measure({"embedding 16384 of 8192x1024",
           [targets](const std::vector<Tensor>& in) { return ops::embedding(in[0], targets, DType::bf16); },
           {normal({vocabulary, d}, DType::f32)},
           6.0 * static_cast<double>(tokens * d),
           0});
}

void attention() {
  const std::int64_t batch = 8, length = 4096, heads = 16, dim = 64;
  struct Kind {
    const char* name;
    std::int64_t window, rate, count;  ///< rate 0: no entries; count 0: all of them
  };
  for (const Kind& kind : {Kind{"sliding 272", 272, 0, 0}, Kind{"heavily compressed 68", 272, 68, 0},
                           Kind{"compressed 4, top 64", 272, 4, 64}}) {
    ops::SparseAttentionOptions options;
    options.window = kind.window;
    options.rate = std::max<std::int64_t>(1, kind.rate);
    options.scale = 0.125f;
    const std::int64_t entries = kind.rate ? length / kind.rate : 0;
    const Tensor indices = kind.count ? picks(batch, length, kind.count, entries) : Tensor();
    std::vector<Tensor> inputs = {normal({batch, length, heads, dim}), normal({batch, length, dim})};
    if (entries) inputs.push_back(normal({batch, entries, dim}));
    const double seen = static_cast<double>(kind.window + (kind.count ? kind.count : entries / 2));
    measure({std::string("attention 8x4096x16x64 ") + kind.name,
             [indices, options](const std::vector<Tensor>& in) {
               return ops::sparse_attention(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), indices, {}, options).out;
             },
             inputs, 4.0 * static_cast<double>(batch * length * heads * dim),
             4.0 * static_cast<double>(batch * length * heads * dim) * seen});
  }
}

// Entries that each query sees, spread over all of them from a place of its own.
Tensor visible_picks(std::int64_t length, std::int64_t rate, std::int64_t count) {
  const Tensor indices = Tensor::full({1, length, count}, -1, DType::i32);
  for (std::int64_t t = 0; t < length; ++t) {
    const std::int64_t visible = (t + 1) / rate, some = std::min(count, visible);
    for (std::int64_t j = 0; j < some; ++j)
      indices.data<std::int32_t>()[t * count + j] =
          static_cast<std::int32_t>((t * 7919 + j * (visible / some)) % visible);
  }
  return indices.to(device);
}

void long_attention(std::int64_t length) {
  const NoGrad guard;
  constexpr std::int64_t kHeads = 16, kDim = 128, kWindow = 272, kIndexHeads = 8, kIndexDim = 64;
  const Tensor q = normal({1, length, kHeads, kDim}), kv = normal({1, length, kDim});
  const auto print = [&](const char* what, double time, double pairs, std::int64_t dims) {
    std::printf("attention forward %lld,orrery %s,%.3f,%.1f\n", static_cast<long long>(length), what, time,
                static_cast<double>(dims) * pairs / time / 1e9);
    std::fflush(stdout);
  };
  struct Kind {
    const char* name;
    std::int64_t rate, count;  ///< count 0: all entries
  };
  for (const Kind& kind :
       {Kind{"window 272 and all entries at 68", 68, 0}, Kind{"window 272 and 64 chosen entries at 4", 4, 64}}) {
    ops::SparseAttentionOptions options;
    options.window = kWindow;
    options.rate = kind.rate;
    options.scale = 0.0883883f;
    const Tensor entries = normal({1, length / kind.rate, kDim});
    const Tensor indices = kind.count ? visible_picks(length, kind.rate, kind.count) : Tensor();
    double pairs = 0;
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t visible = (t + 1) / kind.rate;
      pairs += static_cast<double>(std::min(t + 1, kWindow) + (kind.count ? std::min(visible, kind.count) : visible));
    }
    print(kind.name, milliseconds([&] { ops::sparse_attention(q, kv, entries, indices, {}, options); }), pairs,
          4 * kHeads * kDim);
  }
  // What chooses the entries, which the other line leaves out; time grows with the square of the length.
  const std::int64_t part = length / 4;
  const Tensor index_q = normal({1, part, kIndexHeads, kIndexDim}), keys = normal({1, part / 4, kIndexDim}),
               weights = normal({1, part, kIndexHeads}, DType::f32);
  const double seen = static_cast<double>(part) * static_cast<double>(part) / 8;
  print(("indexer of 64 entries; length " + std::to_string(part)).c_str(), milliseconds([&] {
          ops::index_top_k(index_q, keys, weights, 64, {4, 0});
        }),
        seen, 2 * kIndexHeads * kIndexDim);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    device = device_from_name(argc > 1 ? argv[1] : "cuda");
  } catch (const std::exception& error) {
    std::printf("skipped: %s\n", error.what());
    return 0;
  }
  if (argc == 4 && std::string(argv[2]) == "attention") {
    try {
      long_attention(std::atoll(argv[3]));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "device_bench: %s\n", error.what());
      return 1;
    }
    return 0;
  }
  if (device != Device::cpu) std::printf("# %s\n", device_memory(device).description.c_str());
  std::printf("op,ms,GB/s,GFLOP/s\n");
  rows_of_numbers();
  products();
  attention();
  return 0;
}
