// A small transformer's training step, for tests/bench/training_step.py: 6 layers of width 256 with 4 heads and a
// fourfold MLP, vocabulary 8,028, 8 sequences of 782 tokens, AdamW with clipping. 8.9 million parameters.
//   training_step_bench f32|bf16 THREADS
// reads a number of steps a line from stdin, makes them and answers with a line of JSON.
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/dense_attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/layer_norm.h"
#include "core/ops/loss.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"
#include "core/optim/optimizer.h"
#include "kernels/api/ceilings.h"

namespace orrery {
namespace {

constexpr std::int64_t kLayers = 6, kWidth = 256, kHeads = 4, kVocabulary = 8028, kBatch = 8, kLength = 782;

struct Linear {
  Tensor weight, bias;
};
struct Norm {
  Tensor weight, bias;
};
struct Layer {
  Norm before_attention, before_mlp;
  Linear qkv, out, up, down;
};

class SmallTransformer {
 public:
  explicit SmallTransformer(DType compute) : compute_(compute) {
    embedding_ = matrix("embedding", kVocabulary, ParameterKind::embedding);
    for (std::int64_t i = 0; i < kLayers; ++i) {
      const std::string name = "layers." + std::to_string(i);
      layers_.push_back({norm(name + ".norm1"), norm(name + ".norm2"), linear(name + ".qkv", 3 * kWidth, kWidth),
                         linear(name + ".out", kWidth, kWidth), linear(name + ".up", 4 * kWidth, kWidth),
                         linear(name + ".down", kWidth, 4 * kWidth)});
    }
    last_ = norm("norm");
    head_ = matrix("head", kVocabulary, ParameterKind::matrix);
    positions_ = sinusoids();
  }

  Tensor loss(const Tensor& ids, const Tensor& targets) const {
    Tensor x = ops::add(ops::embedding(embedding_, ids, compute_), positions_);
    for (const Layer& layer : layers_) {
      x = ops::add(x, attend(layer, normal(layer.before_attention, x)));
      const Tensor inner = apply(layer.up, normal(layer.before_mlp, x), Activation::gelu);
      x = ops::add(x, apply(layer.down, inner));
    }
    const Tensor hidden = ops::reshape(normal(last_, x), {kBatch * kLength, kWidth});
    return ops::linear_cross_entropy(hidden, head_, targets).total;
  }

  const ParameterList& parameters() const { return parameters_; }

 private:
  Tensor matrix(const std::string& name, std::int64_t out, ParameterKind kind, std::int64_t in = kWidth) {
    const Tensor value = Tensor::randn({out, in}, random_, 0.02f);
    parameters_.add(name, value, kind);
    return value;
  }
  Tensor vector(const std::string& name, std::int64_t count, float value) {
    const Tensor result = Tensor::full({count}, value);
    parameters_.add(name, result, ParameterKind::vector);
    return result;
  }
  Linear linear(const std::string& name, std::int64_t out, std::int64_t in) {
    return {matrix(name + ".weight", out, ParameterKind::matrix, in), vector(name + ".bias", out, 0)};
  }
  Norm norm(const std::string& name) {
    return {vector(name + ".weight", kWidth, 1), vector(name + ".bias", kWidth, 0)};
  }

  // Fixed positions (Vaswani et al. 2017): no parameters.
  Tensor sinusoids() const {
    const Tensor table = Tensor::empty({kLength, kWidth});
    for (std::int64_t t = 0; t < kLength; ++t)
      for (std::int64_t i = 0; i < kWidth / 2; ++i) {
        const double angle = static_cast<double>(t) * std::pow(1e-4, static_cast<double>(2 * i) / kWidth);
        table.data<float>()[t * kWidth + 2 * i] = static_cast<float>(std::sin(angle));
        table.data<float>()[t * kWidth + 2 * i + 1] = static_cast<float>(std::cos(angle));
      }
    return table.to(compute_);
  }

  static Tensor normal(const Norm& norm, const Tensor& x) { return ops::layer_norm(x, norm.weight, norm.bias); }
  static Tensor apply(const Linear& linear, const Tensor& x, Activation activation = Activation::none) {
    return ops::linear(x, linear.weight, linear.bias, activation);
  }
  static Tensor attend(const Layer& layer, const Tensor& x) {
    const Tensor qkv = ops::reshape(apply(layer.qkv, x), {kBatch, kLength, 3 * kHeads, kWidth / kHeads});
    const std::vector<Tensor> parts = ops::split(qkv, 2, {kHeads, kHeads, kHeads});
    const Tensor mixed = ops::dense_attention(parts[0], parts[1], parts[2], {.causal = true});
    return apply(layer.out, ops::reshape(mixed, {kBatch, kLength, kWidth}));
  }

  DType compute_;
  Random random_{1};
  ParameterList parameters_;
  Tensor embedding_, head_, positions_;
  std::vector<Layer> layers_;
  Norm last_;
};

// Products of matrices in one step, the recomputation of attention's weights in the backward pass left out.
double step_flops() {
  const double tokens = kBatch * kLength, weights = kLayers * 12.0 * kWidth * kWidth + double{kVocabulary} * kWidth;
  const double pairs = kBatch * kLength * (kLength + 1) / 2.0;
  return 6 * weights * tokens + kLayers * 3 * 2 * 2 * pairs * kWidth;
}

std::vector<std::int32_t> draw_ids() {
  Random random(2);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < kBatch * kLength; ++i)
    ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(kVocabulary))));
  return ids;
}

struct Clock {
  double wall, processor;
  long faults;
  static Clock now() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration<double>(time).count(), seconds(usage.ru_utime) + seconds(usage.ru_stime),
            usage.ru_minflt + usage.ru_majflt};
  }
};

int run(DType compute) {
  const SmallTransformer model(compute);
  OptimizerConfig config;
  config.lr = 3e-4;
  Optimizer optimizer(model.parameters(), config);
  const std::vector<std::int32_t> ids = draw_ids();
  std::vector<std::int32_t> next(ids.begin() + 1, ids.end());
  next.push_back(-1);
  const Tensor inputs = Tensor::from(ids, {kBatch, kLength}), targets = Tensor::from(next, {kBatch * kLength});
  const DType multiplied = has_bf16_products() ? compute : DType::f32;
  const auto product = bare_product({1, 1536, 1536, 1536, multiplied});
  int steps = 0;
  while (std::scanf("%d", &steps) == 1) {
    Clock begin = Clock::now();
    product->run();
    Clock end = Clock::now();
    const double ceiling = 2.0 * 1536 * 1536 * 1536 / (end.wall - begin.wall);
    float loss = 0;
    begin = Clock::now();
    for (int i = 0; i < steps; ++i) {
      model.parameters().clear_grads();
      const Tensor total = model.loss(inputs, targets);
      backward(total);
      optimizer.step(1.0, 1.0);
      loss = total.item();
    }
    end = Clock::now();
    std::printf(
        "{\"seconds\": %.6f, \"processor_seconds\": %.6f, \"faults\": %ld, \"loss\": %.5f, \"tokens\": %lld, "
        "\"flops\": %.6g, \"ceiling_flops\": %.6g, \"parameters\": %lld}\n",
        end.wall - begin.wall, end.processor - begin.processor, end.faults - begin.faults, static_cast<double>(loss),
        static_cast<long long>(kBatch * kLength) * steps, step_flops() * steps, ceiling,
        static_cast<long long>(model.parameters().trainable_count()));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  const std::string dtype = argc == 3 ? argv[1] : "";
  const int threads = argc == 3 ? std::atoi(argv[2]) : 0;
  if ((dtype != "f32" && dtype != "bf16") || threads < 1) {
    std::fprintf(stderr, "usage: training_step_bench f32|bf16 THREADS, then numbers of steps on stdin\n");
    return 2;
  }
  orrery::set_thread_count(threads);
  return orrery::run(dtype == "bf16" ? orrery::DType::bf16 : orrery::DType::f32);
}
