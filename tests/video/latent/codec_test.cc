// The latent codec: quantiser, streams against batches, causality, files.
#include "video/latent/codec.h"

#include <cmath>
#include <set>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "video/latent/codec_training.h"

using namespace orrery;

namespace {

CodecConfig small_config() {
  CodecConfig config;
  config.width = 24;
  config.fine_width = 12;
  config.encoder_blocks = config.decoder_blocks = config.fine_blocks = 1;
  return config;
}

LatentCodec small_codec() {
  Random random(3);
  return LatentCodec(small_config(), random);
}

// A bright square that moves over a gradient.
std::vector<Frame> moving_square(int count, int size = 32) {
  std::vector<Frame> frames;
  for (int t = 0; t < count; ++t) {
    Frame frame(size, size);
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) {
        const bool inside = x >= 2 + t && x < 8 + t && y >= 3 && y < 9;
        frame.at(x, y)[0] = static_cast<std::uint8_t>(inside ? 250 : 3 * x);
        frame.at(x, y)[1] = static_cast<std::uint8_t>(2 * y);
      }
    frames.push_back(frame);
  }
  return frames;
}

}  // namespace

TEST_CASE("a code and its latents are two names of one thing", "[codec]") {
  const LatentCodec codec = small_codec();
  std::vector<std::int32_t> codes;
  for (std::int32_t code = 0; code < 8000; ++code) codes.push_back(code);
  const Tensor latents = codec.latents_of(codes, 1, 80, 100);
  CHECK(codec.codes_of(latents) == codes);
  for (const float value : latents.to_vector()) CHECK(std::abs(value) <= 1.0f);
  CHECK_THROWS_AS(codec.latents_of(std::vector<std::int32_t>{8000}, 1, 1, 1), InputError);
  CHECK_THROWS_AS(codec.latents_of(std::vector<std::int32_t>{0, 1}, 1, 1, 1), InputError);
}

TEST_CASE("the quantiser reaches every level and passes its gradient on", "[codec]") {
  const LatentCodec codec = small_codec();
  std::set<std::int32_t> seen;
  Tensor sweep = Tensor::empty({601, 1, 1, 5});
  for (std::int64_t i = 0; i < 601; ++i)
    for (std::int64_t d = 0; d < 5; ++d)
      sweep.data<float>()[i * 5 + d] = d == 0 ? static_cast<float>(i - 300) / 50 : 0.0f;
  sweep.set_requires_grad(true);
  const Tensor quantized = codec.quantize(sweep);
  for (const std::int32_t code : codec.codes_of(quantized)) seen.insert(code % 8);
  CHECK(seen.size() == 8);
  backward(quantized, Tensor::full(quantized.shape(), 1));
  CHECK(sweep.grad().data<float>()[300 * 5] > 0);
}

TEST_CASE("a stream encodes and decodes to what a batch does", "[codec]") {
  const LatentCodec codec = small_codec();
  const auto frames = moving_square(14);
  const auto codes = encode_clip(codec, frames);
  CHECK(static_cast<std::int64_t>(codes.size()) == latent_frames(codec.config(), 14) * 16);
  StreamingEncoder encoder(codec);
  std::vector<std::int32_t> streamed;
  for (const Frame& frame : frames) {
    const auto part = encoder.push(frame);
    streamed.insert(streamed.end(), part.begin(), part.end());
  }
  const auto rest = encoder.finish();
  streamed.insert(streamed.end(), rest.begin(), rest.end());
  CHECK(streamed == codes);

  StreamingDecoder decoder(codec, 4, 4);
  std::size_t count = 0;
  for (std::size_t latent = 0; latent * 16 < codes.size(); ++latent) {
    const auto part = decoder.push(std::span(codes).subspan(latent * 16, 16));
    CHECK(part.size() == (latent == 0 ? 1u : 4u));
    count += part.size();
  }
  CHECK(static_cast<std::int64_t>(count) == decoded_frames(codec.config(), latent_frames(codec.config(), 14)));
}

TEST_CASE("earlier codes do not depend on later frames, still cells keep their codes", "[codec]") {
  const LatentCodec codec = small_codec();
  auto frames = moving_square(13);
  const auto before = encode_clip(codec, frames);
  for (int y = 0; y < 32; ++y) frames[9].at(5, y)[2] = 255;
  const auto after = encode_clip(codec, frames);
  CHECK(std::equal(before.begin(), before.begin() + 3 * 16, after.begin()));
  CHECK(before != after);
  // The bottom row of cells shows nothing but background.
  for (std::size_t latent = 1; latent < 4; ++latent)
    for (std::size_t cell = 12; cell < 16; ++cell) CHECK(before[latent * 16 + cell] == before[cell]);
}

TEST_CASE("training lowers the error, and a saved codec is the same codec", "[codec]") {
  LatentCodec codec = small_codec();
  CodecTraining training(codec);
  CodecWindow window;
  std::vector<float> chunks, weights;
  window.append(moving_square(9), chunks, weights);
  const Batch batch{{Tensor::from(chunks, {1, 3, 4, 32, 32, 3}), Tensor::from(weights, {1, 3, 4, 32, 32, 3})}};
  const double first = training.loss(batch, 0, true).loss.item();
  for (int step = 0; step < 20; ++step) {
    codec.parameters().clear_grads();
    backward(training.loss(batch, 0, true).loss);
    for (const Parameter& item : codec.parameters().all()) {
      const Tensor grad = item.value.grad();
      for (std::int64_t i = 0; i < item.value.numel(); ++i)
        item.value.data<float>()[i] -= 0.02f * grad.data<float>()[i];
    }
  }
  CHECK(training.loss(batch, 0, true).loss.item() < 0.9 * first);

  const test::TemporaryFolder folder;
  save_codec(codec, folder.path().string());
  const LatentCodec loaded = load_codec(folder.path().string());
  const Tensor latents = Tensor::zeros({1, 4, 4, 5}), history = Tensor::zeros({1, 4, 4, 10});
  const NoGrad guard;
  const auto a = codec.decode(latents, history).to_vector(), b = loaded.decode(latents, history).to_vector();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
  CHECK(worst < 0.05);  // matrices are stored in bf16: 2^-9 relative a weight, over three layers
  CHECK_THROWS_AS(load_codec((folder.path() / "none").string()), InputError);
}

TEST_CASE("a decoder learns by itself: the encoder and its codes stay", "[codec]") {
  LatentCodec codec = small_codec();
  const auto frames = moving_square(9);
  const auto codes = encode_clip(codec, frames);
  CodecTraining training(codec, CodecTraining::Frozen::encoder);
  CodecWindow window;
  std::vector<float> chunks, weights;
  window.append(frames, chunks, weights);
  const Batch batch{{Tensor::from(chunks, {1, 3, 4, 32, 32, 3}), Tensor::from(weights, {1, 3, 4, 32, 32, 3})}};
  backward(training.loss(batch, 0, true).loss);
  int trained = 0;
  for (const Parameter& item : codec.parameters().all()) {
    const Tensor grad = item.value.grad();
    CHECK(grad.defined() == (item.name.rfind("decoder.", 0) == 0));
    if (!grad.defined()) continue;
    ++trained;
    for (std::int64_t i = 0; i < item.value.numel(); ++i) item.value.data<float>()[i] -= 0.02f * grad.data<float>()[i];
  }
  CHECK(trained > 10);
  CHECK(encode_clip(codec, frames) == codes);
}

TEST_CASE("a codec goes on with a detail path that adds nothing at first", "[codec]") {
  const LatentCodec plain = small_codec();
  CodecConfig config = small_config();
  config.detail_width = 20;
  Random random(9);
  LatentCodec detailed(config, random);
  for (const Parameter& item : plain.parameters().all())
    Tensor(detailed.parameters().find(item.name)->value).copy_from(item.value);
  Random latent_random(4);
  const Tensor latents = Tensor::randn({1, 4, 4, 5}, latent_random, 1), history = Tensor::zeros({1, 4, 4, 10});
  const NoGrad guard;
  const auto before = plain.decode(latents, history).to_vector();
  CHECK(detailed.decode(latents, history).to_vector() == before);
  Tensor(detailed.parameters().find("decoder.detail_to_pixels")->value).data<float>()[0] = 1;
  CHECK(detailed.decode(latents, history).to_vector() != before);
}

TEST_CASE("extra digits come behind a trained codec's, which stay", "[codec]") {
  const LatentCodec plain = small_codec();
  CodecConfig config = small_config();
  config.extra_levels = {4, 3};
  config.extra_width = 12;
  Random random(9);
  LatentCodec longer(config, random);
  for (const Parameter& item : plain.parameters().all())
    Tensor(longer.parameters().find(item.name)->value).copy_from(item.value);
  const auto frames = moving_square(9);
  const auto codes = encode_clip(plain, frames), before = encode_clip(longer, frames);
  const auto first = static_cast<std::int32_t>(plain.config().codes());
  CHECK(longer.config().codes() == first * 12);
  const auto same_first_digits = [&](const std::vector<std::int32_t>& of) {
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (of[i] % first != codes[i]) return false;
    return of.size() == codes.size();
  };
  CHECK(same_first_digits(before));
  const auto decoded = [](const LatentCodec& codec, const std::vector<std::int32_t>& of) {
    StreamingDecoder decoder(codec, 4, 4);
    std::vector<Frame> pictures;
    for (std::size_t latent = 0; latent < of.size() / 16; ++latent)
      for (Frame& frame : decoder.push(std::span(of).subspan(latent * 16, 16))) pictures.push_back(std::move(frame));
    return pictures;
  };
  const auto equal = [](const std::vector<Frame>& a, const std::vector<Frame>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Frame& x, const Frame& y) {
      return std::equal(x.bytes().begin(), x.bytes().end(), y.bytes().begin(), y.bytes().end());
    });
  };
  CHECK(equal(decoded(plain, codes), decoded(longer, before)));  // the decoder starts without a look at them

  CodecTraining training(longer, CodecTraining::Frozen::encoder_but_extra);
  CodecWindow window;
  std::vector<float> chunks, weights;
  window.append(frames, chunks, weights);
  const Batch batch{{Tensor::from(chunks, {1, 3, 4, 32, 32, 3}), Tensor::from(weights, {1, 3, 4, 32, 32, 3})}};
  for (int step = 0; step < 2; ++step) {  // the first one reaches the decoder's weights of extra digits alone
    longer.parameters().clear_grads();
    backward(training.loss(batch, 0, true).loss);
    for (const Parameter& item : longer.parameters().all()) {
      const Tensor grad = item.value.grad();
      const bool encoder = item.name.rfind("encoder.", 0) == 0, extra = item.name.find("extra") != std::string::npos;
      CHECK(grad.defined() == (!encoder || extra));
      for (std::int64_t i = 0; grad.defined() && i < item.value.numel(); ++i)
        item.value.data<float>()[i] -= 0.5f * grad.data<float>()[i];
    }
  }
  const auto after = encode_clip(longer, frames);
  CHECK(same_first_digits(after));
  CHECK(after != before);

  // Windows without extra digits teach the decoder nothing about them; in validation none is left out.
  const auto extra_slope = [&](double dropout) {
    CodecTraining all(longer, CodecTraining::Frozen::nothing, dropout);
    longer.parameters().clear_grads();
    backward(all.loss(batch, 0, true).loss);
    double sum = 0;
    for (const float x : longer.parameters().find("decoder.from_extra")->value.grad().to_vector()) sum += std::abs(x);
    return sum;
  };
  CHECK(extra_slope(0) > 0);
  CHECK(extra_slope(1) == 0);
  CodecTraining none(longer, CodecTraining::Frozen::nothing, 1), plainly(longer);
  CHECK(none.loss(batch, 0, false).loss.item() == plainly.loss(batch, 0, true).loss.item());
}
