// Generation on the device against the CPU's: logits of every kind of layer, sequences side by side, forks, the codes
// that the device draws by itself, and the codec's frames.
#include <algorithm>
#include <cmath>

#include "core/base/random.h"
#include "core/generate/decoder.h"
#include "core/generate/token_stream.h"
#include "tests/support/catch.h"
#include "tests/support/device_under_test.h"
#include "tests/support/tiny_transformer.h"
#include "video/latent/codec.h"

using namespace orrery;

namespace {

// Small parts, so that a sequence goes through the rings' ends.
constexpr DeviceLimits kLimits{5, 12};

const char* const kCases[] = {"sliding", "csa4",  "hca8", "mixed", "hash", "csa8", "window_edge", "yarn",
                              "clamp",   "video", "axes", "extra", "v3",   "v32",  "v3_yarn",     "v32_yarn"};

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(double{value}));
  return most;
}

double apart(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    worst = std::max(worst, std::abs(double{a[i]} - double{b[i]}));
  }
  return worst;
}

}  // namespace

TEST_CASE("logits on the device are the CPU's", "[cuda][decode]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  const DType weights = GENERATE(DType::f32, DType::bf16, DType::i8);
  INFO(name << " " << name_of(weights));
  // A key rounded the other way may be chosen in another's place: with entries chosen, only f32 is one value apart.
  if (weights != DType::f32 && name != "sliding" && name != "hca8" && name != "hash" && name != "v3") return;
  const Transformer model = test::tiny_transformer(name);
  const Decoder here(model, weights), there(model, weights, test::device_under_test(), kLimits);
  const auto ids = test::some_ids(61);
  DecodeState expected = here.start(), found = there.start();
  const std::vector<float> rows = here.append_all(expected, ids);
  // Two orders of f32 sums through three layers.
  CHECK(apart(there.append_all(found, ids), rows) <= 2e-5 * largest(rows));
  CHECK(found.length() == 61);
  const std::vector<std::int32_t> next{7};
  const std::vector<float> row = here.append(expected, next);
  CHECK(apart(there.append(found, next), row) <= 2e-5 * largest(row));
}

TEST_CASE("logits on the device do not depend on the chunks, nor on sequences beside", "[cuda][decode]") {
  const std::string name = GENERATE("mixed", "axes", "extra", "v32");
  INFO(name);
  const Decoder decoder(test::tiny_transformer(name), DType::bf16, test::device_under_test(), kLimits);
  const auto ids = test::some_ids(40);
  DecodeState whole = decoder.start();
  const std::vector<float> expected = decoder.append(whole, ids);
  DecodeState one_by_one = decoder.start();
  std::vector<float> row;
  test::before_rerun()();
  for (const std::int32_t id : ids) row = decoder.append(one_by_one, std::span(&id, 1));
  CHECK(row == expected);
  // Forks beside one another, each at its own place.
  std::vector<DecodeState> together{decoder.start(), decoder.start(), decoder.start()};
  std::vector<std::vector<float>> alone;
  for (std::size_t i = 0; i < together.size(); ++i) {
    decoder.append(together[i], std::span(ids).first(7 * i + 3));
    DecodeState fork = together[i];
    alone.push_back(decoder.append(fork, std::span(ids).subspan(20 + i, 1 + i)));
  }
  std::vector<DecodeStep> steps;
  for (std::size_t i = 0; i < together.size(); ++i)
    steps.push_back({&together[i], std::span(ids).subspan(20 + i, 1 + i)});
  const std::vector<float> rows = decoder.append_each(steps);
  for (std::size_t i = 0; i < alone.size(); ++i)
    CHECK(
        std::equal(alone[i].begin(), alone[i].end(), rows.begin() + static_cast<std::ptrdiff_t>(i * alone[i].size())));
  test::before_rerun()();
}

TEST_CASE("the device draws the codes that the host would draw from its rows", "[cuda][decode]") {
  const std::string name = GENERATE("video", "extra");
  const SamplingOptions options = GENERATE(SamplingOptions{0.7, 0, 1.0, 0.05}, SamplingOptions{1.0, 9, 1.0, 0.0},
                                           SamplingOptions{1.3, 0, 0.8, 0.0}, SamplingOptions{0.0, 0, 1.0, 0.0});
  INFO(name << " at temperature " << options.temperature);
  const Decoder decoder(test::tiny_transformer(name), DType::f32, test::device_under_test(), kLimits);
  REQUIRE(decoder.draws_codes());
  const auto ids = test::some_ids(20);
  const std::span<const std::int32_t> prompts[] = {std::span(ids).first(9), std::span(ids).subspan(9, 1),
                                                   std::span(ids).subspan(12, 7)};
  constexpr std::int64_t kCount = 10;
  const Sampler sampler(options, 11), other(options, 12);
  // The second sequence has a guide, the last prompt's.
  std::vector<DecodeState> states{decoder.start(), decoder.start(), decoder.start()};
  std::vector<DecodeState> drawing = states;
  const std::vector<CodeRun> runs{{{&drawing[0], prompts[0]}, {}, 1, &sampler, 100},
                                  {{&drawing[1], prompts[1]}, {&drawing[2], prompts[2]}, 1.6f, &other, 7}};
  const auto drawn = decoder.draw_codes(runs, kCount);
  REQUIRE(drawn.size() == 2);

  std::vector<std::vector<float>> rows;
  for (std::size_t i = 0; i < states.size(); ++i) rows.push_back(decoder.append(states[i], prompts[i]));
  for (std::int64_t k = 0; k < kCount; ++k) {
    const auto at = static_cast<std::uint64_t>(k);
    const std::int32_t alone = decoder.codes().draw({rows[0]}, sampler, 100 + at);
    const std::int32_t guided = decoder.codes().draw({rows[1], rows[2], 1.6f}, other, 7 + at);
    INFO("code " << k);
    CHECK(drawn[0][static_cast<std::size_t>(k)] == alone);
    CHECK(drawn[1][static_cast<std::size_t>(k)] == guided);
    if (k + 1 == kCount) break;
    rows[0] = decoder.append(states[0], std::span(&alone, 1));
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}})
      rows[i] = decoder.append(states[i], std::span(&guided, 1));
  }
  for (std::size_t i = 0; i < states.size(); ++i) CHECK(drawing[i].length() == states[i].length());
  // And they go on from there as one.
  const std::int32_t last = drawn[0].back();
  CHECK(decoder.append(drawing[0], std::span(&last, 1)) == decoder.append(states[0], std::span(&last, 1)));
}

TEST_CASE("streams leave their codes to the device, and go on from them", "[cuda][decode]") {
  const Decoder decoder(test::tiny_transformer("video"), DType::f32, test::device_under_test(), kLimits);
  const auto ids = test::some_ids(12);
  const Sampler sampler({0.9, 0, 1.0, 0.0}, 3);
  TokenStream there(decoder), here(decoder);
  there.push(ids), here.push(ids);
  const StreamRun run{&there, nullptr, 1, &sampler, 50};
  std::vector<std::int32_t> codes = TokenStream::next_codes_each(std::span(&run, 1), 4)[0];
  std::vector<std::int32_t> expected;
  for (std::uint64_t k = 0; k < 4; ++k) expected.push_back(here.next_code(sampler, 50 + k, 0));
  CHECK(codes == expected);
  CHECK(there.fed() == here.fed());
  const std::vector<std::int32_t> more{1, 2};
  there.push(more), here.push(more);
  CHECK(std::ranges::equal(there.logits(), here.logits()));
}

TEST_CASE("the codec's frames on the device are the CPU's", "[cuda][decode]") {
  CodecConfig config;
  config.width = 24, config.fine_width = 8, config.detail_width = 8;
  config.encoder_blocks = config.decoder_blocks = config.fine_blocks = 1;
  config.levels = {4, 3}, config.extra_levels = {3, 2}, config.extra_width = 8;
  Random a(4), b(4);
  const LatentCodec here(config, a), there(config, b);
  there.parameters().move_to(test::device_under_test());
  REQUIRE(there.device() == test::device_under_test());
  StreamingDecoder on_cpu(here, 2, 2), alone(there, 2, 2), beside(there, 2, 2), other(there, 2, 2);
  Random random(1);
  for (int latent = 0; latent < 3; ++latent) {
    std::vector<std::vector<std::int32_t>> codes(2);
    for (auto& some : codes)
      for (int cell = 0; cell < 4; ++cell) some.push_back(static_cast<std::int32_t>(random.below(72)));
    const std::vector<Frame> expected = on_cpu.push(codes[0]), found = alone.push(codes[0]);
    StreamingDecoder* const each[] = {&beside, &other};
    const auto together = StreamingDecoder::push_each(each, codes);
    REQUIRE((expected.size() == found.size() && together.size() == 2 && together[0].size() == expected.size()));
    for (std::size_t f = 0; f < expected.size(); ++f)
      for (std::size_t i = 0; i < expected[f].bytes().size(); ++i) {
        // A level apart where the value lies between two.
        REQUIRE(std::abs(int{expected[f].bytes()[i]} - int{found[f].bytes()[i]}) <= 1);
        REQUIRE(std::abs(int{expected[f].bytes()[i]} - int{together[0][f].bytes()[i]}) <= 1);
      }
  }
  std::vector<Frame> frames(5, Frame(16, 16));
  for (Frame& frame : frames)
    for (std::uint8_t& byte : frame.bytes()) byte = static_cast<std::uint8_t>(random.below(256));
  CHECK(encode_clip(there, frames) == encode_clip(here, frames));
}
