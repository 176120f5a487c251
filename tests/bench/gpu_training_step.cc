// The time of a whole training step of a configuration with random weights and tokens, for
// scripts/measures/gpu_compare:
//   gpu_training_step DEVICE CONFIG.json BATCH LENGTH NAME
// prints "NAME,orrery,milliseconds,TFLOP/s", the operations being 6 × active parameters × tokens; gpu_training_step.py
// is the same in PyTorch.
//   gpu_training_step DEVICE product N
// prints the same of a bf16 product of N × N matrices by core/ops: what the card can do.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/cost.h"
#include "core/ops/matmul.h"
#include "core/optim/optimizer.h"
#include "core/tensor/device.h"
#include "core/train/language_training.h"
#include "kernels/api/device_memory.h"

namespace orrery {
namespace {

// Drawing every number would take longer than the steps. A prime, so that rows do not repeat.
constexpr std::int64_t kBlock = 65521;

void fill(Tensor& x, float deviation) {
  Random random(7);
  const std::vector<float> block = Tensor::randn({kBlock}, random, deviation).to_vector();
  float* to = x.data<float>();
  for (std::int64_t i = 0; i < x.numel(); i += kBlock)
    std::copy_n(block.data(), std::min(kBlock, x.numel() - i), to + i);
}

// Median of at least 5 runs after 2, each waited for.
double median_milliseconds(Device device, const std::function<void()>& once) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kWarm = 2, kLeast = 5, kMost = 20;
  constexpr double kEnough = 3000;
  std::vector<double> times;
  double total = 0;
  for (std::size_t run = 0; run < kWarm + kLeast || (run < kWarm + kMost && total < kEnough); ++run) {
    const auto start = Clock::now();
    once();
    if (device != Device::cpu) device_memory(device).synchronize();
    const double time = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    std::fprintf(stderr, "run %zu: %.3f ms\n", run, time);
    if (run < kWarm) continue;
    times.push_back(time);
    total += time;
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void print(const char* name, double milliseconds, double operations) {
  std::printf("%s,orrery,%.3f,%.1f\n", name, milliseconds, operations / milliseconds / 1e9);
}

void measure_product(Device device, std::int64_t n) {
  const NoGrad guard;
  Tensor a = Tensor::empty({n, n}), b = Tensor::empty({n, n});
  fill(a, 1);
  fill(b, 1);
  a = a.to(device).to(DType::bf16);
  b = b.to(device).to(DType::bf16);
  const auto size = static_cast<double>(n);
  const std::string name = "product " + std::to_string(n);
  print(name.c_str(), median_milliseconds(device, [&] { ops::linear(a, b); }), 2 * size * size * size);
}

void measure_step(Device device, const ModelConfig& config, std::int64_t batch, std::int64_t length, const char* name) {
  Transformer model(config, TransformerWeights::unfilled(config));
  for (const Parameter& item : model.parameters().all()) {
    Tensor value = item.value;
    if (item.kind == ParameterKind::matrix || item.kind == ParameterKind::embedding)
      fill(value, static_cast<float>(config.initializer_range));
  }
  model.parameters().move_to(device);
  LanguageTraining training(model, {});
  Optimizer optimizer(model.parameters(), {});
  Random random(2);
  const Tensor ids = Tensor::empty({batch, length}, DType::i32);
  for (std::int32_t& id : ids.span<std::int32_t>())
    id = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(config.ids())));
  const Batch tokens{{ids, ids.clone(), Tensor::full({batch, length}, 1)}};
  std::int64_t step = 0;
  const double milliseconds = median_milliseconds(device, [&] {
    training.parameters().clear_grads();
    const StepLoss loss = training.loss(tokens, step, /*training=*/true);
    backward(loss.loss);
    optimizer.step(1, 1);
    training.after_step(step++, 1);
    std::fprintf(stderr, "loss %.4f, ", double{loss.loss.item()});
  });
  const ModelCost cost = count_cost(config, length, CacheFormat::published);
  std::fprintf(stderr, "%.0f parameters, %.0f active\n", cost.parameters, cost.active_parameters);
  print(name, milliseconds, 6 * cost.active_parameters * static_cast<double>(batch * length));
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) try {
  using namespace orrery;
  if (argc == 4 && std::string(argv[2]) == "product") {
    measure_product(device_from_name(argv[1]), std::atoll(argv[3]));
  } else if (argc == 6) {
    measure_step(device_from_name(argv[1]), read_model_config(argv[2]), std::atoll(argv[3]), std::atoll(argv[4]),
                 argv[5]);
  } else {
    std::fprintf(stderr, "gpu_training_step DEVICE product N | DEVICE CONFIG.json BATCH LENGTH NAME\n");
    return 2;
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "gpu_training_step: %s\n", error.what());
  return 1;
}
