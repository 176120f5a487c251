// Whole training steps on the device against the same steps on the CPU: the transformer of every kind of layer, and the
// codec. What is left out of an op's own cases shows here: a table on the wrong side, a step that waits for nothing.
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/io/parameters_file.h"
#include "core/ops/matmul.h"
#include "core/optim/optimizer.h"
#include "core/train/language_training.h"
#include "core/train/trainer.h"
#include "tests/support/catch.h"
#include "tests/support/device_under_test.h"
#include "tests/support/temporary_folder.h"
#include "video/latent/codec_training.h"

using namespace orrery;

namespace {

// Where a card's machine has them, which is not where they were compiled.
std::string fixtures() {
  const char* carried = std::getenv("ORRERY_TEST_FIXTURES");
  return carried ? carried : ORRERY_TEST_FIXTURES;
}

Transformer tiny_model(const std::string& name) {
  const std::string path = fixtures() + "/deepseek_v4/" + name + ".safetensors";
  const TensorFile file = open_tensors(path);
  Random random(1);
  Transformer model(parse_model_config(file.metadata("config"), path), random);
  for (const Parameter& item : model.parameters().all()) file.load_into("weight." + item.name, item.value);
  return model;
}

Batch some_tokens(std::uint64_t seed, std::int64_t sequences, std::int64_t length) {
  Random random(seed);
  const Tensor ids = Tensor::empty({sequences, length}, DType::i32);
  for (std::int32_t& id : ids.span<std::int32_t>()) id = static_cast<std::int32_t>(random.below(64));
  return {{ids, ids.clone(), Tensor::full({sequences, length}, 1)}};
}

struct Steps {
  std::vector<double> losses, norms;
  std::vector<Tensor> parameters;  ///< on the CPU
};

Steps run_steps(Trainable& training, const std::vector<Batch>& batches, bool muon) {
  OptimizerConfig config;
  config.lr = 1e-2;
  config.muon = muon;
  Optimizer optimizer(training.parameters(), config);
  Steps result;
  std::int64_t step = 0;
  for (const Batch& batch : batches) {
    training.parameters().clear_grads();
    const StepLoss loss = training.loss(batch, step, /*training=*/true);
    backward(loss.loss);
    result.losses.push_back(double{loss.loss.item()});
    result.norms.push_back(optimizer.step(1.0, 1.0));
    training.after_step(step++, 1);
  }
  for (const Parameter& item : training.parameters().all()) result.parameters.push_back(item.value.to(Device::cpu));
  return result;
}

// Each step's rounding moves the next step's weights: the bound is that of f32 sums, a few steps on.
void check_same(const Steps& found, const Steps& expected, double tolerance) {
  for (std::size_t i = 0; i < expected.losses.size(); ++i) {
    INFO("step " << i);
    CHECK(std::abs(found.losses[i] - expected.losses[i]) <= tolerance * std::abs(expected.losses[i]));
    CHECK(std::abs(found.norms[i] - expected.norms[i]) <= 10 * tolerance * expected.norms[i]);
  }
  double moved = 0, apart = 0;
  for (std::size_t p = 0; p < expected.parameters.size(); ++p) {
    const auto a = found.parameters[p].to_vector(), b = expected.parameters[p].to_vector();
    for (std::size_t i = 0; i < a.size(); ++i) {
      REQUIRE(std::isfinite(a[i]));
      apart += std::abs(double{a[i]} - double{b[i]});
      moved += std::abs(double{b[i]});
    }
  }
  CHECK(apart <= 100 * tolerance * moved);
}

}  // namespace

TEST_CASE("training steps of the transformer are the CPU's", "[cuda][training]") {
  const std::string name = GENERATE("mixed", "csa4", "hash", "sliding");
  const bool muon = name == "sliding";
  INFO(name);
  LanguageTrainingConfig config;
  config.compute = DType::f32;
  config.indexer_warmup = 1;  // the second step selects
  const std::vector<Batch> batches = {some_tokens(1, 2, 37), some_tokens(2, 2, 37)};
  Transformer here = tiny_model(name), there = tiny_model(name);
  there.parameters().move_to(test::device_under_test());
  LanguageTraining on_cpu(here, config), on_device(there, config);
  check_same(run_steps(on_device, batches, muon), run_steps(on_cpu, batches, muon), 2e-5);
}

TEST_CASE("training steps of the codec are the CPU's", "[cuda][training]") {
  CodecConfig config;
  config.width = 24;
  config.fine_width = 8;
  config.encoder_blocks = config.decoder_blocks = config.fine_blocks = 1;
  config.levels = {4, 3};
  std::vector<Batch> batches;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    Random random(seed);
    const Shape shape{1, 3, config.time_factor, 16, 16, 3};
    batches.push_back({{Tensor::uniform(shape, random, -1, 1), Tensor::uniform(shape, random, 0, 3)}});
  }
  Random a(4), b(4);
  LatentCodec here(config, a), there(config, b);
  there.parameters().move_to(test::device_under_test());
  CodecTraining on_cpu(here), on_device(there);
  check_same(run_steps(on_device, batches, false), run_steps(on_cpu, batches, false), 2e-5);
}

TEST_CASE("large products of experts go to BLAS one by one", "[cuda]") {
  // 2^26 multiplications, from where on the kernels wait for the offsets; an expert without rows, and uneven ones.
  const std::int64_t rows = 512, in = 512, out = 256, experts = 4;
  Random random(3);
  const Tensor x = Tensor::randn({rows, in}, random).to(DType::bf16), w = Tensor::randn({experts, out, in}, random),
               seed = Tensor::randn({rows, out}, random).to(DType::bf16);
  const Tensor bounds = Tensor::from(std::vector<std::int32_t>{0, 100, 100, 333, 512}, {experts + 1});
  const auto run = [&](Device device) {
    Tensor a = x.clone().to(device), b = w.clone().to(device);
    a.set_requires_grad(true);
    b.set_requires_grad(true);
    const Tensor y = ops::grouped_linear(a, b, bounds.to(device));
    backward(y, seed.to(device));
    return std::vector<Tensor>{y.detach().to(Device::cpu), a.grad().to(Device::cpu), b.grad().to(Device::cpu)};
  };
  const std::vector<Tensor> found = run(test::device_under_test()), expected = run(Device::cpu);
  for (std::size_t i = 0; i < found.size(); ++i) {
    INFO("result " << i);
    const auto a = found[i].to_vector(), b = expected[i].to_vector();
    double largest = 0, apart = 0;
    for (std::size_t k = 0; k < b.size(); ++k) {
      largest = std::max(largest, std::abs(double{b[k]}));
      apart = std::max(apart, std::abs(double{a[k]} - double{b[k]}));
    }
    CHECK(apart <= largest * 0x1p-7);  // one unit of bf16
  }
}

TEST_CASE("a run on the device stops, resumes and saves", "[cuda][training]") {
  struct Source : BatchSource {
    Batch batch(std::uint64_t index) const override { return some_tokens(index, 1, 24); }
  };
  const test::TemporaryFolder folder;
  TrainConfig config;
  config.steps = 2;
  config.warmup_steps = 1;
  config.validate_every = 2;
  config.validation_batches = 1;
  LanguageTrainingConfig language;
  language.compute = DType::bf16;
  const auto source = std::make_shared<Source>();
  std::vector<float> kept;
  for (int round = 0; round < 2; ++round) {
    Transformer model = tiny_model("mixed");
    model.parameters().move_to(test::device_under_test());
    LanguageTraining training(model, language);
    config.steps = round == 0 ? 2 : 3;
    Trainer trainer(training, source, config, folder.path().string());
    CHECK(trainer.step() == (round == 0 ? 0 : 2));
    const Tensor& some = model.weights().embed;
    CHECK(some.device() == test::device_under_test());
    if (round == 1) CHECK(some.to_vector() == kept);
    trainer.add_validation("held-out", source);
    CHECK(std::isfinite(trainer.run()));
    kept = some.to_vector();
  }
  CHECK(std::filesystem::exists(folder.path() / "model.safetensors"));
}
