// Drafts by the multi-token-prediction block: the tokens are those without drafts, whatever is guessed.
#include "core/generate/token_stream.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

// Windows, rates and expert tables small enough that a few tokens cross all their borders.
Transformer drafting_model(std::uint64_t seed, bool axes = false) {
  ModelConfig config;
  config.vocab_size = 24, config.hidden_size = 16, config.moe_intermediate_size = 8;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8, config.sliding_window = 6;
  config.index_n_heads = 4, config.index_head_dim = 8, config.index_topk = 3;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2, config.hc_mult = 2, config.hc_sinkhorn_iters = 3;
  config.csa_rate = 3, config.hca_rate = 5, config.initializer_range = 0.4;
  config.compress_rope = {};
  config.layer_types = {AttentionKind::sliding, AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe, MlpKind::moe};
  config.video = {4, 1, 2, 60, true, true, {2, 2}, {}};
  if (axes) config.video = {4, 2, 2, 60, true, true, {2, 2}, {1, 1, 0}};
  Random random(seed);
  return Transformer(config, random);
}

std::vector<std::int32_t> some_ids(std::int64_t count, std::uint64_t seed = 5) {
  Random random(seed);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random.below(24)));
  return ids;
}

struct Drawn {
  std::vector<std::int32_t> tokens;
  DraftCount drafts;
};

// Runs of drawn tokens with given ones between, as latent frames and their headers are.
Drawn draw(const Decoder& decoder, double temperature, std::int64_t drafts) {
  SamplingOptions options;
  options.temperature = temperature;
  const Sampler sampler(options, 9);
  TokenStream stream(decoder, drafts);
  stream.push(some_ids(7));
  Drawn drawn;
  for (std::int64_t run = 0; run < 6; ++run) {
    for (std::int64_t k = 0; k < 12; ++k)
      drawn.tokens.push_back(stream.next(sampler, 4, 20, static_cast<std::uint64_t>(run * 20 + k), 11 - k));
    stream.push(some_ids(3, static_cast<std::uint64_t>(run)));
  }
  drawn.drafts = stream.drafts();
  return drawn;
}

}  // namespace

TEST_CASE("drafts do not change a token", "[draft]") {
  const Transformer model = drafting_model(GENERATE(1, 2, 3), GENERATE(false, true));
  const Decoder decoder(model, GENERATE(DType::bf16, DType::i8));
  const double temperature = GENERATE(0.0, 0.3, 1.0);
  INFO("temperature " << temperature);
  const Drawn expected = draw(decoder, temperature, 0);
  CHECK(expected.drafts.drafted == 0);
  for (const std::int64_t drafts : {1, 2, 3, 5}) {
    INFO(drafts << " drafts");
    const Drawn found = draw(decoder, temperature, drafts);
    CHECK(found.tokens == expected.tokens);
    CHECK(found.drafts.drafted > 30);
    CHECK(found.drafts.accepted < found.drafts.drafted);
  }
}

TEST_CASE("a block that guesses right is always accepted", "[draft]") {
  Transformer model = drafting_model(4);
  // A head of zeros: all logits are equal, so that guesses and tokens are the same draws.
  model.weights().lm_head.fill(0);
  const Drawn found = draw(Decoder(model), 1.0, 3);
  CHECK(found.drafts.drafted > 30);
  CHECK(found.drafts.accepted == found.drafts.drafted);
}

TEST_CASE("the block's logits are those of the full forward pass", "[draft]") {
  const Transformer model = drafting_model(2, GENERATE(false, true));
  const Decoder decoder(model, DType::f32);
  const std::int64_t length = 41;
  const auto ids = some_ids(length);
  const NoGrad guard;
  ForwardOptions options;
  options.mtp = true;
  const auto expected = model.logits(model.forward(Tensor::from(ids, {1, length}), options).mtp_hidden).to_vector();
  double scale = 0;
  for (const float value : expected) scale = std::max(scale, std::abs(double{value}));
  // Drafts after every token, and after chunks that are longer than what is kept for the block.
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{4}, std::size_t{20}}) {
    DecodeState state = decoder.start(/*drafting=*/true);
    for (std::size_t at = 0; at + chunk < ids.size(); at += chunk) {
      decoder.append(state, std::span(ids).subspan(at, chunk));
      const auto logits = decoder.draft(state, ids[at + chunk]);
      double worst = 0;
      for (std::size_t i = 0; i < logits.size(); ++i)
        worst = std::max(worst, std::abs(double{logits[i]} - expected[(at + chunk - 1) * 24 + i]));
      INFO("chunks of " << chunk << ", at " << at);
      CHECK(worst <= 2e-4 * scale);  // the decoder's bound against the full pass
    }
  }
}

TEST_CASE("what is taken back of a block leaves no trace", "[draft]") {
  const Transformer model = drafting_model(3, GENERATE(false, true));
  const Decoder decoder(model);
  const auto ids = some_ids(60), wrong = some_ids(60, 6);
  const std::size_t begin = GENERATE(0, 1, 5, 14, 24, 29);
  for (const std::size_t size : {1, 2, 7, 16}) {
    for (std::size_t kept = 0; kept <= size; kept += size > 3 ? 3 : 1) {
      INFO("from " << begin << ", " << kept << " of " << size);
      DecodeState plain = decoder.start(), state = decoder.start();
      if (begin > 0)
        decoder.append(plain, std::span(ids).first(begin)), decoder.append(state, std::span(ids).first(begin));
      std::vector<std::int32_t> block(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                      ids.begin() + static_cast<std::ptrdiff_t>(begin + kept));
      block.insert(block.end(), wrong.begin(), wrong.begin() + static_cast<std::ptrdiff_t>(size - kept));
      decoder.append_block(state, block);
      DecodeState fork = state;
      decoder.keep(fork, static_cast<std::int64_t>(kept));
      CHECK(fork.length() == static_cast<std::int64_t>(begin + kept));
      const auto rest = std::span(ids).subspan(begin + kept, 13);
      if (kept > 0) decoder.append(plain, std::span(ids).subspan(begin, kept));
      CHECK(decoder.append_all(fork, rest) == decoder.append_all(plain, rest));
    }
  }
}

TEST_CASE("drafting without the block is refused", "[draft]") {
  Transformer model = drafting_model(1);
  ModelConfig config = model.config();
  config.num_nextn_predict_layers = 0;
  Random random(1);
  const Decoder decoder{Transformer(config, random)};
  CHECK_THROWS_AS(TokenStream(decoder, 1), InputError);
  CHECK_THROWS_AS(TokenStream(decoder, -1), InputError);
  CHECK_THROWS_AS(TokenStream(Decoder(model), 6), InputError);  // as many as the window has
}

TEST_CASE("with drafts a token has the model's distribution", "[draft]") {
  const Transformer model = drafting_model(6);
  const Decoder decoder(model);
  SamplingOptions options;
  options.temperature = 1;
  constexpr std::int32_t kFirst = 4, kLast = 9;
  constexpr std::size_t kCount = kLast - kFirst;
  const auto prompt = some_ids(7);
  // The chance of each third token, over all ways to it.
  const auto chances = [&](std::vector<std::int32_t> drawn) {
    DecodeState state = decoder.start();
    drawn.insert(drawn.begin(), prompt.begin(), prompt.end());
    const auto logits = decoder.append(state, drawn);
    std::vector<double> p(kCount);
    double sum = 0;
    for (std::size_t i = 0; i < kCount; ++i) sum += p[i] = std::exp(double{logits[kFirst + i]});
    for (double& x : p) x /= sum;
    return p;
  };
  std::vector<double> expected(kCount, 0.0);
  const auto first = chances({});
  for (std::size_t a = 0; a < kCount; ++a) {
    const auto second = chances({static_cast<std::int32_t>(kFirst + a)});
    for (std::size_t b = 0; b < kCount; ++b) {
      const auto third = chances({static_cast<std::int32_t>(kFirst + a), static_cast<std::int32_t>(kFirst + b)});
      for (std::size_t c = 0; c < kCount; ++c) expected[c] += first[a] * second[b] * third[c];
    }
  }
  constexpr int kRuns = 3000;
  std::vector<double> found(kCount, 0.0);
  DraftCount drafts;
  for (int run = 0; run < kRuns; ++run) {
    const Sampler sampler(options, static_cast<std::uint64_t>(run));
    TokenStream stream(decoder, 2);
    stream.push(prompt);
    for (std::uint64_t k = 0; k < 2; ++k) stream.next(sampler, kFirst, kLast, k, 2 - static_cast<std::int64_t>(k));
    ++found[static_cast<std::size_t>(stream.next(sampler, kFirst, kLast, 2, 0) - kFirst)];
    drafts.drafted += stream.drafts().drafted, drafts.accepted += stream.drafts().accepted;
  }
  double chi = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const double mean = kRuns * expected[i];
    INFO("token " << kFirst + i << ": " << found[i] << " times, expected " << mean);
    CHECK(mean > 20);
    chi += (found[i] - mean) * (found[i] - mean) / mean;
  }
  CHECK(chi < 23.5);  // 4 degrees of freedom: one draw in ten thousand is worse; the seeds are fixed
  // Guesses were both taken and refused.
  CHECK(drafts.accepted > kRuns / 4);
  CHECK(drafts.accepted < drafts.drafted - kRuns / 4);
}
