#include "apps/pipeline/clip_codes.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/sha256.h"

namespace orrery::pipeline {

namespace {

// Model frames that a file of `frames` frames shows: frame k is the one on screen at k / fps seconds.
std::int64_t source_frame(std::int64_t k, double fps, double model_fps) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(k) * model_fps / fps + 1e-9));
}

RolloutOptions rollout_options(const ClipSpec& spec) {
  RolloutOptions options;
  options.prompt = spec.prompt, options.seed = spec.seed, options.sampling = spec.sampling,
  options.cfg_scale = spec.cfg_scale, options.drafts = spec.drafts;
  return options;
}

}  // namespace

std::vector<Action> latent_actions(const LoadedModel& model, const ClipSpec& spec, std::int64_t latents) {
  std::vector<Action> actions(static_cast<std::size_t>(latents));
  const auto& sizes = model.layout().vocabulary().sizes();
  const std::int64_t step = model.codec().config().time_factor;
  for (const worlds::TimedAction& timed : spec.actions) {
    const std::int64_t latent = 1 + (timed.frame - 1) / step;
    ORRERY_CHECK(latent < latents, "an action is at frame ", timed.frame, ", but the clip ends before it");
    Action& action = actions[static_cast<std::size_t>(latent)];
    ORRERY_CHECK(action.kind == ActionKind::none, "two actions fall on frames ", (latent - 1) * step + 1, " to ",
                 latent * step, ", expected at most one every ", step, " frames");
    action.kind = static_cast<ActionKind>(timed.action.push);
    action.row = std::min(static_cast<std::int32_t>(timed.action.v * sizes.rows), sizes.rows - 1);
    action.column = std::min(static_cast<std::int32_t>(timed.action.u * sizes.columns), sizes.columns - 1);
  }
  return actions;
}

std::int64_t total_latents(const LoadedModel& model, const ClipSpec& spec) {
  return latent_frames(model.codec().config(), source_frame(spec.frames() - 1, spec.fps, model.fps()) + 1);
}

std::int64_t frames_of_latents(const LoadedModel& model, const ClipSpec& spec, std::int64_t latents) {
  const std::int64_t sources = latents > 0 ? decoded_frames(model.codec().config(), latents) : 0;
  // The first frame of the file that would show a later one.
  std::int64_t frames = 0;
  if (sources > 0) {
    frames = static_cast<std::int64_t>(static_cast<double>(sources) * spec.fps / model.fps());
    while (source_frame(frames, spec.fps, model.fps()) < sources) ++frames;
    while (frames > 0 && source_frame(frames - 1, spec.fps, model.fps()) >= sources) --frames;
  }
  return std::min(frames, spec.frames());
}

std::string codes_hash(std::span<const std::int32_t> codes) {
  Sha256 hash;
  for (const std::int32_t code : codes) hash.update(std::to_string(code) + " ");
  return hash.finish_hex();
}

ClipCodes::ClipCodes(const LoadedModel& model, const ClipSpec& spec, std::span<const std::int32_t> drawn)
    : model_(&model),
      given_(spec.given),
      rollout_(model, rollout_options(spec)),
      actions_(latent_actions(model, spec, total_latents(model, spec))),
      latents_(total_latents(model, spec)) {
  given_.insert(given_.end(), drawn.begin(), drawn.end());
}

std::vector<std::int32_t> ClipCodes::next() {
  ClipCodes* const self = this;
  return std::move(next_each(std::span(&self, 1))[0]);
}

std::vector<std::vector<std::int32_t>> ClipCodes::next_each(std::span<ClipCodes* const> clips) {
  std::vector<std::vector<std::int32_t>> codes(clips.size());
  std::vector<Rollout*> drawing;
  std::vector<Action> actions;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    ClipCodes& clip = *clips[i];
    ORRERY_ASSERT(!clip.done(), "[clip] no latent frame is left to draw");
    const Action& action = clip.actions_[static_cast<std::size_t>(clip.latent_)];
    if (clip.given_next()) {
      const std::int64_t cells = clip.model_->layout().cells(), first = clip.latent_ * cells;
      codes[i].assign(clip.given_.begin() + first, clip.given_.begin() + first + cells);
      clip.rollout_.give(codes[i], action);
    } else {
      drawing.push_back(&clip.rollout_);
      actions.push_back(action);
      owners.push_back(i);
    }
    ++clip.latent_;
  }
  std::vector<std::vector<std::int32_t>> drawn = Rollout::next_each(drawing, actions);
  for (std::size_t i = 0; i < drawn.size(); ++i) codes[owners[i]] = std::move(drawn[i]);
  return codes;
}

bool ClipCodes::given_next() const {
  return (latent_ + 1) * model_->layout().cells() <= static_cast<std::int64_t>(given_.size());
}

std::int64_t ClipCodes::settle() {
  const std::int64_t left = latents_ - latent_;
  if (given_next())
    return std::min(left, static_cast<std::int64_t>(given_.size()) / model_->layout().cells() - latent_);
  rollout_.settle();
  return std::min(left, rollout_.room());
}

ClipFrames::ClipFrames(const LoadedModel& model, const ClipSpec& spec, std::function<void(const Frame&)> frame)
    : decoder_(model.codec(), model.layout().vocabulary().sizes().rows, model.layout().vocabulary().sizes().columns),
      frames_(spec.frames()),
      fps_(spec.fps),
      model_fps_(model.fps()),
      frame_(std::move(frame)) {}

void ClipFrames::push(std::span<const std::int32_t> codes) {
  for (const Frame& native : decoder_.push(codes)) show(native);
}

void ClipFrames::show(const Frame& native) {
  if (shown_ < frames_ && source_frame(shown_, fps_, model_fps_) == source_) {
    frame_(native);
    ++shown_;
  }
  ++source_;
}

}  // namespace orrery::pipeline
