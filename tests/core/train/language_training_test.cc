// The trainer and the transformer together: a run that was stopped and resumed is the run that was not.
#include "core/train/language_training.h"

#include <fstream>
#include <map>

#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/io/json.h"
#include "core/io/parameters_file.h"
#include "core/model/checkpoint.h"
#include "core/train/expert_load.h"
#include "core/train/trainer.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 32, config.hidden_size = 16, config.moe_intermediate_size = 8;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8, config.sliding_window = 4;
  config.index_n_heads = 2, config.index_head_dim = 8, config.index_topk = 2;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2, config.hc_mult = 2, config.hc_sinkhorn_iters = 3;
  config.csa_rate = 2, config.hca_rate = 4, config.initializer_range = 0.3;
  config.compress_rope = {};
  config.layer_types = {AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe};
  return config;
}

// Random ids; every third token counts less.
class RandomTokens : public BatchSource {
 public:
  Batch batch(std::uint64_t index) const override {
    Random random(7, index);
    constexpr std::int64_t kSequences = 2, kLength = 24;
    const Tensor ids = Tensor::empty({kSequences, kLength}, DType::i32), weights = Tensor::full(ids.shape(), 1);
    for (std::int64_t i = 0; i < ids.numel(); ++i) {
      ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(random.below(32));
      if (i % 3 == 0) weights.data<float>()[i] = 0.25f;
    }
    return {{ids, ids, weights}};
  }
};

TrainConfig short_run(std::int64_t steps) {
  TrainConfig config;
  config.steps = steps;
  config.warmup_steps = 0, config.decay_fraction = 0;  // the schedule does not depend on where a run is stopped
  config.log_every = 1, config.validate_every = 0, config.accumulate = 2;
  return config;
}

// Trains in `folder` up to `steps`, from its state where there is one; returns the losses of the log by step.
std::map<std::int64_t, std::string> train(const std::string& folder, std::int64_t steps, std::uint64_t seed) {
  Random random(seed);
  Transformer model(tiny_config(), random);
  LanguageTrainingConfig language;
  language.indexer_warmup = 4;
  LanguageTraining training(model, language);
  Trainer(training, std::make_shared<RandomTokens>(), short_run(steps), folder).run();
  std::map<std::int64_t, std::string> losses;
  std::ifstream log(folder + "/log.jsonl");
  for (std::string line; std::getline(log, line);) {
    Json json = Json::parse(line, "log");
    for (const char* time : {"seconds", "waited"}) json.set(time, 0);
    losses[json.find("step")->as_integer()] = json.dump();
  }
  return losses;
}

}  // namespace

TEST_CASE("a balancing bias moves by its expert's excess, as far as scores lie apart", "[train][balance]") {
  Random random(3);
  Transformer model(tiny_config(), random);
  const Tensor bias = model.weights().layers[1].moe.bias;
  // 100 tokens of two experts each: even would be 50. The scores' standard deviation is √(64 / (100 · 4)) = 0.4.
  const std::int64_t more = GENERATE(0, 40);  // an excess counts as 1 at most
  model.update_router_bias({{1, MlpKind::moe, {20, 50, 60 - more, 70 + more}, 64}}, 0.5f);
  const double excess[] = {-0.6, 0, 0.2 - static_cast<double>(more) / 50, more > 0 ? 1 : 0.4};
  for (std::size_t e = 0; e < 4; ++e) CHECK(bias.data<float>()[e] == Approx(-0.5 * 0.4 * excess[e]).margin(1e-7));
}

TEST_CASE("balancing evens out a router in few steps, whatever the size of its scores", "[train][balance]") {
  const float size = GENERATE(0.03f, 1.0f, 8.0f);
  INFO("router's weights times " << size);
  Random random(3);
  ModelConfig config = tiny_config();
  config.n_routed_experts = 8;
  Transformer model(config, random);
  const MoeWeights& moe = model.weights().layers[1].moe;
  for (std::int64_t i = 0; i < moe.gate.numel(); ++i) moe.gate.data<float>()[i] *= size;
  LanguageTrainingConfig language;
  language.compute = DType::f32;
  LanguageTraining training(model, language);
  Batch batch = RandomTokens().batch(0);
  const Tensor ids = Tensor::empty({8, 128}, DType::i32);
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(random.below(32));
  batch.tensors = {ids, ids, Tensor::full(ids.shape(), 1)};
  const auto used = [&] { return expert_utilisation(model.forward(ids).loads[1].tokens); };
  const double before = used();
  for (std::int64_t step = 0; step < 60; ++step) {
    training.loss(batch, step, /*training=*/true);
    training.after_step(step, 1);
  }
  CHECK(before < 0.8);
  CHECK(used() > 1 / (1 + 1.0 / 8));  // but for one of the 32 ids: an eighth of the mean load of 8 experts, 2 a token
}

TEST_CASE("at the end the biases settle to weights that no step had", "[train][balance]") {
  Random random(3);
  Transformer model(tiny_config(), random);
  const Tensor bias = model.weights().layers[1].moe.bias;
  bias.data<float>()[0] = 0.6f;  // far off: the first expert is in nearly every pair
  LanguageTrainingConfig language;
  language.compute = DType::f32;
  LanguageTraining training(model, language);
  const auto batch = [](std::int64_t i) { return RandomTokens().batch(static_cast<std::uint64_t>(1000 + i)); };
  const auto used = [&] {
    std::vector<std::int64_t> tokens(4);
    for (std::int64_t i = 0; i < 50; ++i) {
      const auto loads = model.forward(batch(500 + i).tensors[0]).loads;
      for (std::size_t e = 0; e < 4; ++e) tokens[e] += loads[1].tokens[e];
    }
    return expert_utilisation(tokens);
  };
  const double before = used();
  training.settle(batch, 0);
  CHECK(bias.data<float>()[0] == 0.6f);
  training.settle(batch, 200);
  CHECK(before < 0.7);
  CHECK(used() > 0.95);
}

TEST_CASE("what is written are averaged weights with biases settled to them; the state keeps the averages",
          "[train][balance]") {
  Progress::set_enabled(false);
  const test::TemporaryFolder folder;
  train(folder.path(), 9, 3);
  const TensorFile state = open_tensors((folder.path() / "state" / "state.safetensors").string());
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  Random random(3);
  Transformer model(tiny_config(), random);
  for (const Parameter& item : model.parameters().all()) state.load_into("average." + item.name, item.value);
  const Tensor last = Tensor::zeros({4});
  state.load_into("weights." + name, last);
  const std::vector<float> averaged = model.weights().layers[1].moe.bias.to_vector();
  CHECK(averaged != last.to_vector());
  const TrainConfig config = short_run(9);
  LanguageTraining(model, {}).settle(
      [&](std::int64_t i) { return RandomTokens().batch(static_cast<std::uint64_t>(9 * config.accumulate + i)); },
      config.settle_batches);
  const Transformer written = load_model(folder.path().string());
  CHECK(written.weights().layers[1].moe.bias.to_vector() == model.weights().layers[1].moe.bias.to_vector());
  CHECK(written.weights().layers[1].moe.bias.to_vector() != averaged);
}

TEST_CASE("even use is 1, and one expert for all the least", "[train][balance]") {
  CHECK(expert_utilisation({5, 5, 5, 5}) == 1);
  CHECK(expert_entropy({5, 5, 5, 5}) == Approx(1));
  CHECK(expert_utilisation({0, 0, 20, 0}) == 0.25);
  CHECK(expert_entropy({0, 0, 20, 0}) == 0);
  CHECK(expert_utilisation({3, 1, 2, 2}) == Approx(2.0 / 3));
  CHECK(expert_utilisation({0, 0}) == 1);
}

TEST_CASE("the learning rate warms up, stays, and falls at the end of the steps or of the time", "[train]") {
  TrainConfig config;
  config.steps = 100, config.warmup_steps = 10, config.decay_fraction = 0.5, config.min_lr_ratio = 0.1;
  CHECK(schedule_factor(config, 0) == Approx(0.1));
  CHECK(schedule_factor(config, 9) == 1);
  CHECK(schedule_factor(config, 50) == 1);
  CHECK(schedule_factor(config, 75) == Approx(0.1 + 0.9 * 0.5));
  CHECK(schedule_factor(config, 20, 0.75) == Approx(0.1 + 0.9 * 0.5));
  CHECK(schedule_factor(config, 20, 1.5) == Approx(0.1));
}

TEST_CASE("a resumed run gives the losses and weights of an uninterrupted one", "[train]") {
  // Stopped within the indexer's warm-up, at its end, and after it.
  const std::int64_t stop = GENERATE(2, 4, 6);
  INFO("stopped after " << stop);
  Progress::set_enabled(false);
  const int threads = thread_count();
  set_thread_count(1);  // the products are tiny
  const test::TemporaryFolder whole, parts;
  const auto expected = train(whole.path(), 9, 3);
  train(parts.path(), stop, 3);
  const auto resumed = train(parts.path(), 9, 4);  // other fresh weights: all must come from the state
  set_thread_count(threads);
  REQUIRE(expected.size() == 9);
  CHECK(resumed == expected);
  const Transformer a = load_model(whole.path()), b = load_model(parts.path());
  for (std::size_t i = 0; i < a.parameters().all().size(); ++i) {
    INFO(a.parameters().all()[i].name);
    CHECK(a.parameters().all()[i].value.to_vector() == b.parameters().all()[i].value.to_vector());
  }
}

TEST_CASE("own draws stand in the input where codes are, and depend on the step alone", "[train]") {
  ModelConfig config = tiny_config();
  config.video = {16, 1, 2, 60, true, true, {4, 4}, {}};  // ids 16 to 31
  Random random(5);
  Transformer model(config, random);
  const Batch batch = RandomTokens().batch(1);
  const auto loss = [&](double own_draws, std::int64_t step, bool training = true) {
    LanguageTrainingConfig language;
    language.compute = DType::f32;
    language.balance_weight = 0, language.indexer_weight = 0;
    language.own_draws = own_draws;
    LanguageTraining run(model, language);
    return run.loss(batch, step, training).loss.item();
  };
  const float plain = loss(0, 7);
  CHECK(loss(1, 7) != plain);
  CHECK(loss(1, 7) == loss(1, 7));
  CHECK(loss(1, 7) != loss(1, 8));
  CHECK(loss(1, 7, false) == loss(0, 7, false));  // held-out sets are judged as they are
  // Words are never replaced, and what is not predicted is not.
  const Batch words{
      {batch.tensors[0].clone(), Tensor::full(batch.tensors[0].shape(), 3, DType::i32), batch.tensors[2]}};
  const Batch nothing{{words.tensors[0], Tensor::full(batch.tensors[0].shape(), -1, DType::i32), words.tensors[2]}};
  for (const Batch& other : {words, nothing}) {
    LanguageTrainingConfig language;
    language.compute = DType::f32;
    LanguageTraining without(model, language);
    language.own_draws = 1;
    LanguageTraining with(model, language);
    CHECK(with.loss(other, 7, true).loss.item() == without.loss(other, 7, true).loss.item());
  }
}
