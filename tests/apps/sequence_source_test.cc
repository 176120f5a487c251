// Training sequences: layout, openings and corruption.
#include "apps/pipeline/sequence_source.h"

#include <algorithm>

#include "core/base/random.h"
#include "tests/support/catch.h"

using namespace orrery;
using namespace orrery::pipeline;

namespace {

SequenceSource source_of(const SequenceSourceOptions& options) {
  CodecConfig config;
  config.width = config.fine_width = 8;
  config.encoder_blocks = config.decoder_blocks = config.fine_blocks = 1;
  config.levels = {4, 4};
  Random random(1, 1);
  const Tokenizer tokenizer = train_caption_tokenizer(options, 280, 20, {4, 4, 16});
  const SequenceLayout layout(VideoVocabulary::from(tokenizer, 16));
  return SequenceSource(options, std::make_shared<LatentCodec>(config, random), tokenizer, layout);
}

SequenceSourceOptions tiny() {
  SequenceSourceOptions options;
  options.sequences = 2, options.latents = 8, options.size = 32, options.longest = 12;
  options.scenes = {"bounce"};
  options.describe_share = options.caption_dropout = 0;
  options.corruption = 0;
  return options;
}

}  // namespace

TEST_CASE("a batch of openings holds more and shorter sequences, no more tokens", "[sequence_source]") {
  SequenceSourceOptions options = tiny();
  const std::int64_t group = 20;  // 4×4 cells and 4 header tokens
  const Batch whole = source_of(options).batch(3);
  CHECK(whole.tensors[0].shape() == Shape{2, 9 * group});
  options.opening_share = 1;
  const SequenceSource openings = source_of(options);
  const Batch batch = openings.batch(3);
  CHECK(batch.tensors[0].shape() == Shape{6, 3 * group});
  // The same batch is the same whenever it is asked for; the next one holds other clips.
  const auto ids = [](const Batch& of) {
    const auto* begin = of.tensors[0].data<std::int32_t>();
    return std::vector<std::int32_t>(begin, begin + of.tensors[0].numel());
  };
  CHECK(ids(openings.batch(3)) == ids(batch));
  CHECK(ids(openings.batch(4)) != ids(batch));
  options.opening_share = 0.5;
  const SequenceSource mixed = source_of(options);
  int short_ones = 0;
  for (std::uint64_t i = 0; i < 40; ++i) short_ones += mixed.batch(i).tensors[0].dim(0) == 6;
  CHECK(short_ones > 8);
  CHECK(short_ones < 32);
}

TEST_CASE("corruption changes inputs, never targets; near slips are one step of one digit", "[sequence_source]") {
  SequenceSourceOptions options = tiny();
  options.corruption = 0.5;
  options.corruption_near = 1;
  const Batch batch = source_of(options).batch(0);
  const auto *ids = batch.tensors[0].data<std::int32_t>(), *targets = batch.tensors[1].data<std::int32_t>();
  int slips = 0;
  for (std::int64_t i = 0; i < batch.tensors[0].numel(); ++i) {
    if (targets[i] < 0 || ids[i] == targets[i]) continue;
    ++slips;
    const int step = std::abs(ids[i] - targets[i]);  // digits of levels 4 and 4: 1 in the first, 4 in the second
    CHECK((step == 1 || step == 4));
  }
  CHECK(slips > 5);
}

TEST_CASE("words that leave no room for a latent frame do not describe", "[sequence_source]") {
  SequenceSourceOptions options = tiny();
  options.describe_share = 1;
  options.opening_share = 1;  // two latent frames of 20 tokens, and captions take two groups
  const Batch batch = source_of(options).batch(0);
  const auto* targets = batch.tensors[1].data<std::int32_t>();
  const std::int64_t size = batch.tensors[1].dim(1);
  constexpr std::int32_t kText = 280;  // ids behind are marks, actions and codes
  for (std::int64_t s = 0; s < batch.tensors[1].dim(0); ++s)
    CHECK(std::count_if(targets + s * size, targets + (s + 1) * size, [](std::int32_t id) { return id >= kText; }) >=
          20);
}
