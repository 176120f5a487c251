// A clip on its way: codes drawn a latent frame at a time, alone or beside other clips, and the frames that the file
// shows of them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "apps/pipeline/generate.h"

namespace orrery::pipeline {

/// The codes of one clip. They do not depend on which clips are drawn beside it. One thread at a time; the model must
/// outlive it.
class ClipCodes {
 public:
  /// `drawn`: codes of the latent frames that an earlier run drew after the spec's given ones, to go on from. Throws
  /// InputError as ClipSpec::validate() does.
  ClipCodes(const LoadedModel& model, const ClipSpec& spec, std::span<const std::int32_t> drawn = {});

  bool done() const { return latent_ == latents_; }
  /// The next latent frame's codes. Not when done().
  std::vector<std::int32_t> next();
  /// The next latent frame of each, in one pass over the weights; none of them done(), all of one model.
  static std::vector<std::vector<std::int32_t>> next_each(std::span<ClipCodes* const> clips);

  /// Latent frames that copies made now can draw beside one another before each would start the sequence anew by
  /// itself; does what starting anew takes first. At most those that are given, where the next one is.
  std::int64_t settle();
  /// Draws with the random numbers of another seed from here on.
  void reseed(std::uint64_t seed) { rollout_.reseed(seed); }
  /// Whether the next latent frame is given and not drawn.
  bool given_next() const;

  std::int64_t latents_done() const { return latent_; }
  std::int64_t latents() const { return latents_; }
  std::int64_t tokens() const { return rollout_.tokens(); }
  DraftCount drafts() const { return rollout_.drafts(); }

 private:
  const LoadedModel* model_;
  std::vector<std::int32_t> given_;
  Rollout rollout_;
  std::vector<Action> actions_;  // one a latent frame
  std::int64_t latent_ = 0, latents_;
};

/// Codes in, the frames that the file shows out, at the model's size and the file's rate.
class ClipFrames {
 public:
  ClipFrames(const LoadedModel& model, const ClipSpec& spec, std::function<void(const Frame&)> frame);
  /// The codes of the next latent frame.
  void push(std::span<const std::int32_t> codes);
  /// The next frame of the model's, decoded elsewhere.
  void show(const Frame& native);

 private:
  StreamingDecoder decoder_;
  std::int64_t frames_, shown_ = 0, source_ = 0;
  double fps_, model_fps_;
  std::function<void(const Frame&)> frame_;
};

/// Latent frames of the whole clip.
std::int64_t total_latents(const LoadedModel& model, const ClipSpec& spec);
/// Frames of the file that so many latent frames are enough for.
std::int64_t frames_of_latents(const LoadedModel& model, const ClipSpec& spec, std::int64_t latents);
/// One action a latent frame; none for the others. Throws InputError for two that fall on one, or that come too late.
std::vector<Action> latent_actions(const LoadedModel& model, const ClipSpec& spec, std::int64_t latents);

/// The codes' own hash, as the record has it.
std::string codes_hash(std::span<const std::int32_t> codes);

/// Writes the file of a clip whose codes are drawn (whole latent frames from its begin): the same bytes as
/// generate_clip().
ClipReport write_clip(const LoadedModel& model, const ClipSpec& spec, const ClipOutput& output,
                      std::span<const std::int32_t> codes);

}  // namespace orrery::pipeline
