// Training sequences from the worlds: a clip is drawn, encoded and laid out with its caption and actions.
#pragma once

#include <memory>

#include "core/text/sequence.h"
#include "core/text/tokenizer.h"
#include "core/train/trainable.h"
#include "physics_eval/worlds/sample.h"
#include "video/latent/codec.h"

namespace orrery::pipeline {

struct SequenceSourceOptions {
  std::uint64_t seed = 1;
  std::int64_t sequences = 4;  ///< a batch
  std::int64_t latents = 24;   ///< latent frames a sequence
  int size = 64;
  double fps = 24;
  int longest = 240;             ///< a sequence starts within so many frames of its clip
  double from_start = 0.5;       ///< share of sequences that start at their clip's first frame
  double action_share = 0.15;    ///< of clips with pushes
  double caption_dropout = 0.1;  ///< of sequences without words (for guidance)
  double describe_share = 0.1;   ///< of sequences with the video first and the words after
  double corruption = 0.05;      ///< largest share of past codes replaced, drawn per sequence
  double corruption_near = 0;    ///< of these, by a code that differs by one step in one FSQ digit
  /// Weight of a code that equals the one before it in its cell. Below 1 the model learns to expect more change than
  /// there is, and a rollout flickers.
  double still_weight = 1.0;
  /// Share of batches that hold openings: the first `opening_latents` latent frames of many more clips, from each
  /// clip's first frame. What a sentence says of colours, numbers and places is settled there, and a batch of long
  /// sequences shows few of them.
  double opening_share = 0;
  std::int64_t opening_latents = 2;
  /// Share of the other batches whose sequences have `middle_latents` latent frames, from anywhere in their clips: what
  /// follows a short video, and words for it.
  double middle_share = 0;
  std::int64_t middle_latents = 12;
  std::vector<std::string> scenes;  ///< empty: all
  worlds::Split split = worlds::Split::in_distribution;
  bool smooth_backgrounds = false;  ///< plain and gradient backgrounds only
};

class SequenceSource : public BatchSource {
 public:
  SequenceSource(SequenceSourceOptions options, std::shared_ptr<const LatentCodec> codec, Tokenizer tokenizer,
                 SequenceLayout layout)
      : options_(std::move(options)),
        codec_(std::move(codec)),
        tokenizer_(std::move(tokenizer)),
        layout_(std::move(layout)) {}
  /// tensors: ids, targets, weights (core/train/language_training.h).
  Batch batch(std::uint64_t index) const override;

 private:
  struct Sequence;
  Sequence make(std::uint64_t clip, std::int64_t latents, double from_start) const;
  /// Tokens of a sequence with so many latent frames.
  std::int64_t length(std::int64_t latents) const { return (1 + latents) * layout_.group(); }

  SequenceSourceOptions options_;
  std::shared_ptr<const LatentCodec> codec_;
  Tokenizer tokenizer_;
  SequenceLayout layout_;
};

/// A tokenizer for captions (byte-level BPE, `size` text ids) with the video block behind it, trained on `captions`
/// captions of the given scenes.
Tokenizer train_caption_tokenizer(const SequenceSourceOptions& options, std::int64_t size, std::int64_t captions,
                                  const VideoVocabularySizes& sizes);

}  // namespace orrery::pipeline
