// Latent frames one after the other from a prompt, under a person's actions: the model's side of generation and of live
// play.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/pipeline/loaded_model.h"
#include "core/generate/sampler.h"
#include "core/generate/token_stream.h"

namespace orrery::pipeline {

struct RolloutOptions {
  std::string prompt;
  std::uint64_t seed = 42;
  SamplingOptions sampling;
  /// Classifier-free guidance (Ho and Salimans 2022): logits move away from those without a prompt by this factor; 1:
  /// only the first latent frame is guided, by kOpeningGuidance.
  double cfg_scale = 1.0;
  /// Tokens that the multi-token-prediction block guesses ahead a step (core/generate/token_stream.h): more speed or
  /// less, never other tokens. Not while there is guidance.
  std::int64_t drafts = 0;
  /// An empty prompt is allowed: a world of the model's own choice.
  bool allow_empty = false;
  /// Keep the entropy of each drawn code, for entropy().
  bool measure_entropy = false;
};

/// How the first latent frame is drawn when the others are drawn with `sampling`: at temperature 1, from the 200
/// likeliest codes (or top_k of them). It decides what is in the picture, and bodies are rare there cell by cell: what
/// sharpens the later frames (a low temperature, min-p, top-p) would leave the room empty. Temperature 0 stays.
SamplingOptions opening_sampling(const SamplingOptions& sampling);

/// Guidance of a drawn first latent frame: there the sentence has most to say, and one frame costs little.
constexpr double kOpeningGuidance = 1.6;

/// One world. The codes of a latent frame depend on model, prompt, seed, sampling and what came before, and on nothing
/// else. Memory does not grow: when the trained context is full, the sequence starts anew with the prompt and the later
/// half of the latent frames. A copy is a fork of the world. One thread at a time; the model must outlive it.
class Rollout {
 public:
  /// Throws InputError for a prompt that the model cannot take, or options out of range.
  Rollout(const LoadedModel& model, const RolloutOptions& options);
  /// Throws what the constructor would throw, without the memory of a world: a batch asks for each of its jobs.
  static void check(const LoadedModel& model, const RolloutOptions& options);

  /// The next latent frame, with what a person does at its begin: codes in row-major order of the cells. The first one
  /// is one video frame, each later one the codec's time_factor frames.
  std::vector<std::int32_t> next(const Action& action = {});
  /// The next latent frame of each of several worlds of one model, an action each, in one pass over the weights: each
  /// gets what its own next() gives, sooner.
  static std::vector<std::vector<std::int32_t>> next_each(std::span<Rollout* const> rollouts,
                                                          std::span<const Action> actions);
  /// Takes a latent frame as it is given (from a picture or a video) instead of drawing it.
  void give(std::span<const std::int32_t> codes, const Action& action = {});

  /// Latent frames that fit until the sequence starts anew; 0: the next one does that.
  std::int64_t room() const;
  /// Starts anew where the next latent frame would, and takes all that waits through the model: copies made now share
  /// that work. Changes no code.
  void settle();
  /// Draws with the random numbers of another seed from here on.
  void reseed(std::uint64_t seed);

  /// How unsure the model was of each code that next() drew last: entropy in bits of its distribution over the codes,
  /// before temperature and filters, in row-major order of the cells. Empty without measure_entropy.
  const std::vector<float>& entropy() const { return entropy_; }

  /// Latent frames so far, drawn and given.
  std::int64_t latents() const { return latents_; }
  /// Tokens that went through the model, with and without the prompt together.
  std::int64_t tokens() const;
  /// Guesses and how many of them the model agreed with.
  DraftCount drafts() const;
  /// Groups in the context now, prompt included; at most the trained ones.
  std::int64_t context_groups() const;

 private:
  // One sequence through the model: with the prompt or, while there is guidance, without.
  struct Stream {
    std::vector<std::int32_t> prompt;
    TokenStream tokens;
  };
  static std::vector<std::int32_t> checked_prompt(const LoadedModel& model, const RolloutOptions& options);
  void push(std::span<const std::int32_t> ids);
  std::int64_t most_latents() const;
  void make_room();
  void end_opening();
  const Sampler& sampler() const { return latents_ == 0 ? opening_ : sampler_; }
  float guidance() const;
  std::uint64_t code_position(std::int64_t k) const;
  void draw_code(std::int64_t k);
  /// Whether all of them can leave a latent frame's codes to the device.
  static bool device_draws(std::span<Rollout* const> rollouts);
  static void draw_on_device(std::span<Rollout* const> rollouts);

  const LoadedModel* model_;
  Sampler opening_, sampler_;
  double cfg_scale_;
  std::int64_t drafts_;
  std::vector<Stream> streams_;
  bool measure_entropy_;
  std::vector<float> entropy_;
  std::vector<std::int32_t> groups_;  ///< tokens of the latent frames in the context
  std::int64_t latents_ = 0;
  std::int64_t tokens_ = 0;  ///< of the streams before they started anew
  DraftCount draft_count_;   ///< likewise
};

/// Latent frames in the context of number `latent` (0: the first) when it is drawn, itself left out: the sequence
/// starts anew when the trained context is full.
std::int64_t context_latents(const LoadedModel& model, std::int64_t prompt_tokens, std::int64_t latent);

/// Tokens that go through the model for so many drawn latent frames, guided throughout or in the first only:
/// prompt, groups, and what starting anew repeats.
std::int64_t planned_tokens(const LoadedModel& model, std::int64_t prompt_tokens, std::int64_t latents,
                            bool guided = false);

}  // namespace orrery::pipeline
