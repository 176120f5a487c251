#include "apps/pipeline/sequence_source.h"

#include <algorithm>
#include <cmath>

#include "core/base/random.h"

namespace orrery::pipeline {

struct SequenceSource::Sequence {
  std::vector<std::int32_t> ids, targets;
  std::vector<float> weights;
  void put(std::int32_t id, float weight) {
    ids.push_back(id);
    targets.push_back(id);
    weights.push_back(weight);
  }
};

namespace {

constexpr float kHeaderWeight = 0.05f, kTextWeight = 1.0f;

worlds::SampleOptions sample_options(const SequenceSourceOptions& options) {
  worlds::SampleOptions sample;
  sample.width = sample.height = options.size;
  sample.fps = options.fps;
  sample.scenes = options.scenes;
  sample.split = options.split;
  sample.smooth_backgrounds = options.smooth_backgrounds;
  return sample;
}

struct Drawn {
  std::string caption;
  std::vector<Frame> frames;
  std::vector<Action> actions;  ///< one a latent frame
};

// A push at the cell of a body that can be seen, as the worlds' own sampling has it.
Action draw_action(const worlds::World& world, const SequenceLayout& layout, Random& random) {
  Action action;
  std::vector<const worlds::BodyState*> seen;
  for (const auto& body : world.truth().bodies)
    if (body.visible > 0.5) seen.push_back(&body);
  if (seen.empty()) return action;
  const auto& body = *seen[random.below(seen.size())];
  const auto& sizes = layout.vocabulary().sizes();
  const double side = world.spec().height * world.metres_per_pixel(),
               wide = world.spec().width * world.metres_per_pixel();
  action.kind = static_cast<ActionKind>(1 + random.below(4));
  action.column = std::clamp(static_cast<std::int32_t>(body.position.x / wide * sizes.columns), 0, sizes.columns - 1);
  action.row = std::clamp(static_cast<std::int32_t>((1 - body.position.y / side) * sizes.rows), 0, sizes.rows - 1);
  return action;
}

worlds::Action world_action(const Action& action, const VideoVocabularySizes& sizes) {
  return {static_cast<worlds::Push>(action.kind), (action.column + 0.5) / sizes.columns,
          (action.row + 0.5) / sizes.rows};
}

// A code that differs by one step in one of its FSQ digits: the kind of slip that a rollout makes, and that drifts (a
// red ball turns orange).
std::int32_t near_code(std::int32_t code, std::span<const std::int64_t> levels, Random& random) {
  const std::size_t digit = random.below(levels.size());
  std::int64_t place = 1;
  for (std::size_t i = 0; i < digit; ++i) place *= levels[i];
  const std::int64_t value = code / place % levels[digit];
  const bool up = value == 0 || (value + 1 < levels[digit] && random.chance(0.5));
  return code + static_cast<std::int32_t>(up ? place : -place);
}

struct Extent {
  std::int64_t latents;
  double from_start;  ///< probability of starting at the clip's first frame
};

Drawn draw(const SequenceSourceOptions& options, const SequenceLayout& layout, std::int64_t time_factor,
           const Extent& extent, std::uint64_t clip, Random& random) {
  worlds::World world(worlds::sample_spec(options.seed, clip, sample_options(options)));
  Drawn drawn;
  drawn.caption = world.caption(random.next_u64());
  const int start = random.chance(extent.from_start)
                        ? 0
                        : static_cast<int>(random.below(static_cast<std::uint64_t>(options.longest)));
  for (int f = 0; f < start; ++f) world.step();
  const bool acting = random.chance(options.action_share);
  drawn.frames.push_back(world.draw());
  drawn.actions.emplace_back();
  for (std::int64_t latent = 1; latent < extent.latents; ++latent) {
    Action action;
    if (acting && random.chance(1.0 / 6)) action = draw_action(world, layout, random);
    drawn.actions.push_back(action);
    if (action.kind != ActionKind::none) world.push(world_action(action, layout.vocabulary().sizes()));
    for (std::int64_t f = 0; f < time_factor; ++f) {
      world.step();
      drawn.frames.push_back(world.draw());
    }
  }
  return drawn;
}

}  // namespace

SequenceSource::Sequence SequenceSource::make(std::uint64_t clip, std::int64_t latents, double from_start) const {
  Random random = Random(options_.seed, 0x73657175).fork(clip);
  const Drawn drawn = draw(options_, layout_, codec_->config().time_factor, {latents, from_start}, clip, random);
  const std::vector<std::int32_t> codes = encode_clip(*codec_, drawn.frames);
  const std::vector<std::int32_t> text = tokenizer_.encode(drawn.caption, {false, true});
  // Groups that the words take, their two marks included, when they come after the video; one latent frame must be
  // left.
  const std::int64_t groups = (static_cast<std::int64_t>(text.size()) + 1 + layout_.group()) / layout_.group();
  const bool describes = random.chance(options_.describe_share) && groups < latents;
  const bool silent = !describes && random.chance(options_.caption_dropout);
  const VideoVocabulary& vocabulary = layout_.vocabulary();

  Sequence sequence;
  for (const std::int32_t id : layout_.prompt(silent || describes ? std::vector<std::int32_t>() : text))
    sequence.put(id, 0);
  const double corrupted = random.uniform(0, options_.corruption);
  const auto cells = static_cast<std::size_t>(layout_.cells());
  for (std::int64_t latent = 0; latent < latents; ++latent) {
    const std::span<const std::int32_t> now(codes.data() + static_cast<std::size_t>(latent) * cells, cells);
    const std::vector<std::int32_t> group = layout_.group_tokens(drawn.actions[static_cast<std::size_t>(latent)], now);
    for (std::size_t k = 0; k < group.size(); ++k) {
      if (k < VideoVocabulary::kHeader) {
        sequence.put(group[k], kHeaderWeight);
        continue;
      }
      const auto cell = static_cast<std::size_t>(layout_.cell(static_cast<std::int64_t>(k) - VideoVocabulary::kHeader));
      const bool still = latent > 0 && codes[static_cast<std::size_t>(latent - 1) * cells + cell] == now[cell];
      sequence.put(group[k], still ? static_cast<float>(options_.still_weight) : 1.0f);
      // Some inputs are wrong, as they will be in a rollout; the targets stay right.
      if (!random.chance(corrupted)) continue;
      const bool near = options_.corruption_near > 0 && random.chance(options_.corruption_near);
      sequence.ids.back() = vocabulary.code(
          near ? near_code(now[cell], codec_->config().all_levels(), random)
               : static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary.sizes().codes))));
    }
  }
  if (describes) {
    // The words take the place of the last latent frames, so that every sequence has the same length.
    std::vector<std::int32_t> words{layout_.text_mark()};
    words.insert(words.end(), text.begin(), text.end());
    words.push_back(layout_.text_end());
    const auto keep = static_cast<std::size_t>((1 + latents - groups) * layout_.group());
    sequence.ids.resize(keep);
    sequence.targets.resize(keep);
    sequence.weights.resize(keep);
    for (std::size_t i = 0; i < words.size(); ++i) sequence.put(words[i], i == 0 ? 0 : kTextWeight);
    while (static_cast<std::int64_t>(sequence.ids.size()) < length(latents))
      sequence.put(vocabulary.mark(Mark::pad), 0);
  }
  for (std::size_t i = 0; i < sequence.targets.size(); ++i)
    if (sequence.weights[i] == 0) sequence.targets[i] = -1;
  sequence.ids.resize(static_cast<std::size_t>(length(latents)));
  sequence.targets.resize(static_cast<std::size_t>(length(latents)));
  sequence.weights.resize(static_cast<std::size_t>(length(latents)));
  return sequence;
}

Batch SequenceSource::batch(std::uint64_t index) const {
  Random random = Random(options_.seed, 0x6F70656E).fork(index);
  const bool openings = options_.opening_share > 0 && random.chance(options_.opening_share);
  const bool middle = !openings && options_.middle_share > 0 && random.chance(options_.middle_share);
  const std::int64_t latents = openings ? options_.opening_latents
                               : middle ? options_.middle_latents
                                        : options_.latents;
  const std::int64_t most = options_.sequences * length(options_.latents), size = length(latents);
  const std::int64_t count = most / size;
  Batch batch{{Tensor::empty({count, size}, DType::i32), Tensor::empty({count, size}, DType::i32),
               Tensor::empty({count, size})}};
  for (std::int64_t s = 0; s < count; ++s) {
    // Each batch has room for the clips of one that holds openings.
    const auto clip = index * static_cast<std::uint64_t>(most) + static_cast<std::uint64_t>(s);
    const Sequence sequence = make(clip, latents, openings ? 1.0 : options_.from_start);
    std::copy(sequence.ids.begin(), sequence.ids.end(), batch.tensors[0].data<std::int32_t>() + s * size);
    std::copy(sequence.targets.begin(), sequence.targets.end(), batch.tensors[1].data<std::int32_t>() + s * size);
    std::copy(sequence.weights.begin(), sequence.weights.end(), batch.tensors[2].data<float>() + s * size);
  }
  return batch;
}

Tokenizer train_caption_tokenizer(const SequenceSourceOptions& options, std::int64_t size, std::int64_t captions,
                                  const VideoVocabularySizes& sizes) {
  std::int64_t at = 0;
  const auto next = [&](std::string& text) {
    if (at >= captions) return false;
    text = worlds::World(worlds::sample_spec(options.seed, static_cast<std::uint64_t>(at), sample_options(options)))
               .caption();
    ++at;
    return true;
  };
  TokenizerTraining training;
  training.vocabulary_size = size;
  Tokenizer tokenizer = Tokenizer::train(next, training);
  VideoVocabulary::append(tokenizer, sizes);
  return tokenizer;
}

}  // namespace orrery::pipeline
