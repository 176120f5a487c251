// A clip drawn a second at a time, the first two together, and again where a judge is not content: the go that
// shows its sentence best, and moves as bodies do, is gone on from. (Search with a verifier at generation time, as of
// "Video-T1", arXiv 2503.18942; the judge here is the project's own tracker and laws, and it knows nothing but the
// sentence.)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "apps/pipeline/clip_codes.h"
#include "apps/pipeline/sentence.h"
#include "physics_eval/track/track.h"

namespace orrery::pipeline {

struct Verdict {
  double worth = 0;
  bool good = false;  ///< no other go is needed
};

/// How well frames from `first` on show what a sentence says: the sum of the shares of its numbers and colours that are
/// right (2 each), the physics score, and a half each for a body that moves there and for the motion that it names.
/// Good: all numbers and colours are right, something moves or lay still before, the physics score is at least a half,
/// and at a clip's begin (`first` 0) the motion is the one named.
Verdict judge(const Said& said, const Tracks& tracks, int first);

/// What a go is worth, from the clip's last seconds; it begins with frame `first` of them. Called from several threads.
using Judge = std::function<Verdict(std::span<const Frame> frames, int first)>;

class JudgedClip {
 public:
  /// By judge() above. Throws InputError as ClipSpec::validate() does. The model must outlive it.
  JudgedClip(const LoadedModel& model, const ClipSpec& spec);
  JudgedClip(const LoadedModel& model, const ClipSpec& spec, Judge judge);

  bool done() const { return kept_->codes.done(); }
  /// A second or less of the clip, as it goes on: the codes of its latent frames, one behind the other, and all of
  /// their frames at the model's size and rate. Depends on model and spec alone.
  struct Stretch {
    std::vector<std::int32_t> codes;
    std::vector<Frame> frames;
  };
  Stretch next();

  std::int64_t latents_done() const { return kept_->codes.latents_done(); }
  /// Through the model, of all goes.
  std::int64_t tokens() const { return tokens_; }
  DraftCount drafts() const { return kept_->codes.drafts(); }

 private:
  struct Go {
    ClipCodes codes;
    StreamingDecoder decoder;
    Stretch made;
    Verdict verdict;
  };
  void make(Go& go, std::int64_t latents) const;

  const LoadedModel* model_;
  Judge judge_;
  std::uint64_t seed_;
  std::int64_t tries_, tokens_ = 0;
  std::optional<Go> kept_;
  std::vector<Frame> seen_;  ///< the clip's last seconds, which the judge sees before a stretch
};

}  // namespace orrery::pipeline
