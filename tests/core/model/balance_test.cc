// The experts' sequence-wise balance loss against a calculation by hand, and its gradient.
#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/model/layers.h"
#include "tests/support/catch.h"
#include "tests/support/gradient_check.h"

using namespace orrery;

TEST_CASE("the balance loss counts choices and shares a sequence", "[balance]") {
  // Two sequences of two tokens, four experts, two chosen.
  const Tensor scores = Tensor::from({4, 3, 2, 1,   // chosen: 0, 1; shares .4 .3 .2 .1
                                      1, 5, 3, 1,   // 1, 2; .1 .5 .3 .1
                                      1, 1, 4, 4,   // 2, 3; .1 .1 .4 .4
                                      2, 1, 3, 4},  // 2, 3; .2 .1 .3 .4
                                     {4, 4});
  // f = counts · 4 / (2 · 2): first {1, 2, 1, 0}, second {0, 0, 2, 2}. P: {.25, .4, .25, .1}, {.15, .1, .35, .4}.
  const double first = 1 * .25 + 2 * .4 + 1 * .25, second = 2 * .35 + 2 * .4;
  CHECK(balance_loss(scores, 2, 2).item() == Approx((first + second) / 2).epsilon(1e-6));
  // Even use gives 1 whatever the scores' size; all tokens on the same experts give more.
  CHECK(balance_loss(Tensor::from({9, 1, 1, 9}, {2, 2}), 1, 1).item() == Approx(1).epsilon(1e-6));
  CHECK(balance_loss(Tensor::from({9, 1, 9, 1}, {2, 2}), 1, 1).item() == Approx(1.8).epsilon(1e-6));
}

TEST_CASE("the balance loss has the gradient of the shares", "[balance]") {
  Random random(3);
  const std::int64_t tokens = 15, experts = 7;
  const Tensor scores = Tensor::empty({tokens, experts});
  // Apart by more than the differences' steps, in another order each token: choices do not change while measuring.
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t e = 0; e < experts; ++e)
      scores.data<float>()[t * experts + e] = 0.5f + 0.125f * static_cast<float>((e * (1 + t % 6) + t) % experts) +
                                              0.03f * static_cast<float>(random.uniform());
  test::check_gradients([](const std::vector<Tensor>& in) { return std::vector{balance_loss(in[0], 3, 2)}; }, {scores});
}

TEST_CASE("the balance loss of a model is its scored layers' sum and reaches the router", "[balance]") {
  ModelConfig config;
  config.vocab_size = 16, config.hidden_size = 8, config.moe_intermediate_size = 4;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4, config.q_lora_rank = 4;
  config.o_groups = 1, config.o_lora_rank = 4, config.sliding_window = 4;
  config.n_routed_experts = 4, config.num_experts_per_tok = 1, config.hc_mult = 2;
  config.layer_types.assign(3, AttentionKind::sliding);
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe, MlpKind::moe};
  Random random(4);
  Transformer model(config, random);
  // A router of zeros scores all experts alike: shares of 1/4, and Σ f = 4.
  for (LayerWeights& layer : model.weights().layers) layer.moe.gate.fill(0);
  model.weights().mtp->layer.moe.gate.fill(0);
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {2, 5});
  ForwardOptions options;
  CHECK_FALSE(model.forward(ids, options).balance_loss.defined());
  options.balance = true;
  const ForwardResult result = model.forward(ids, options);
  CHECK(result.balance_loss.item() == Approx(2).epsilon(1e-6));
  backward(result.balance_loss);
  CHECK(model.weights().layers[2].moe.gate.grad().defined());
  options.mtp = options.checkpoint = true;
  CHECK(model.forward(ids, options).balance_loss.item() == Approx(3).epsilon(1e-6));
}
