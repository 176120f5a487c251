#include "apps/pipeline/rollout.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace orrery::pipeline {

namespace {

// Latent frames that stay when the context is full.
std::int64_t kept_latents(std::int64_t room) { return std::max<std::int64_t>(1, room / 2); }

// Of the softmax over these logits.
float entropy_bits(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0, weighted = 0;
  for (const float logit : logits) {
    const double shifted = static_cast<double>(logit - most), weight = std::exp(shifted);
    sum += weight;
    weighted += weight * shifted;
  }
  return static_cast<float>((std::log(sum) - weighted / sum) / std::log(2.0));
}

}  // namespace

SamplingOptions opening_sampling(const SamplingOptions& sampling) {
  constexpr std::int64_t kLikeliest = 200;
  if (sampling.temperature == 0) return sampling;
  return {1.0, sampling.top_k > 0 ? sampling.top_k : kLikeliest, 1.0, 0.0};
}

Rollout::Rollout(const LoadedModel& model, const RolloutOptions& options)
    : model_(&model),
      opening_(opening_sampling(options.sampling), options.seed),
      sampler_(options.sampling, options.seed),
      cfg_scale_(options.cfg_scale),
      measure_entropy_(options.measure_entropy) {
  ORRERY_CHECK(std::isfinite(cfg_scale_) && cfg_scale_ >= 0 && cfg_scale_ <= 100, "cfg-scale is ", cfg_scale_,
               ", expected 0 to 100");
  std::vector<std::int32_t> text;
  if (!options.prompt.empty() || !options.allow_empty) text = model.encode_prompt(options.prompt);
  streams_.push_back({model.layout().prompt(text), model.decoder().start()});
  if (cfg_scale_ != 1 || !text.empty()) streams_.push_back({model.layout().prompt({}), model.decoder().start()});
}

std::int64_t Rollout::context_groups() const {
  return static_cast<std::int64_t>(streams_[0].prompt.size() + groups_.size()) / model_->layout().group();
}

// Starts the sequence anew when one more latent frame would not fit.
void Rollout::make_room() {
  const std::int64_t group = model_->layout().group();
  const std::int64_t room = model_->context_groups() - static_cast<std::int64_t>(streams_[0].prompt.size()) / group;
  if (static_cast<std::int64_t>(groups_.size()) / group < room) return;
  groups_.erase(groups_.begin(), groups_.end() - static_cast<std::ptrdiff_t>(kept_latents(room) * group));
  for (Stream& stream : streams_) {
    stream.state = model_->decoder().start();
    stream.fed = 0;
  }
}

// Behind the first latent frame, only one who asks for guidance pays for it.
void Rollout::end_opening() {
  if (cfg_scale_ == 1) streams_.erase(streams_.begin() + 1, streams_.end());
}

std::vector<std::int32_t> Rollout::unseen(const Stream& stream) const {
  std::vector<std::int32_t> ids;
  const std::size_t prompt = stream.prompt.size();
  if (stream.fed < prompt)
    ids.assign(stream.prompt.begin() + static_cast<std::ptrdiff_t>(stream.fed), stream.prompt.end());
  const std::size_t seen = stream.fed > prompt ? stream.fed - prompt : 0;
  ids.insert(ids.end(), groups_.begin() + static_cast<std::ptrdiff_t>(seen), groups_.end());
  return ids;
}

// The k-th code of each one's open group.
void Rollout::draw_code(std::span<Rollout* const> rollouts, std::int64_t k) {
  const LoadedModel& model = *rollouts[0]->model_;
  const VideoVocabulary& vocabulary = model.layout().vocabulary();
  std::vector<std::vector<std::int32_t>> ids;
  for (const Rollout* rollout : rollouts)
    for (const Stream& stream : rollout->streams_) ids.push_back(rollout->unseen(stream));
  std::vector<DecodeStep> steps;
  for (Rollout* rollout : rollouts)
    for (Stream& stream : rollout->streams_) {
      const std::vector<std::int32_t>& feed = ids[steps.size()];
      steps.push_back({&stream.state, feed});
      stream.fed += feed.size();
      rollout->tokens_ += static_cast<std::int64_t>(feed.size());
    }
  std::vector<float> logits = model.decoder().append_each(steps);
  std::span<float> left(logits);
  const auto size = static_cast<std::size_t>(model.config().vocab_size);
  for (Rollout* rollout : rollouts) {
    const std::span<float> mine = left.first(size);
    if (rollout->streams_.size() == 2) {
      const auto scale = static_cast<float>(rollout->cfg_scale_ == 1 ? kOpeningGuidance : rollout->cfg_scale_);
      for (std::size_t i = 0; i < size; ++i) mine[i] = left[size + i] + scale * (mine[i] - left[size + i]);
    }
    left = left.subspan(rollout->streams_.size() * size);
    // The position in the whole clip, which starting anew does not change.
    const std::int64_t position = rollout->latents_ * model.layout().group() + VideoVocabulary::kHeader + k;
    if (rollout->measure_entropy_)
      rollout->entropy_[static_cast<std::size_t>(model.layout().cell(k))] = entropy_bits(mine.subspan(
          static_cast<std::size_t>(vocabulary.first_code()), static_cast<std::size_t>(vocabulary.sizes().codes)));
    const Sampler& sampler = rollout->latents_ == 0 ? rollout->opening_ : rollout->sampler_;
    rollout->groups_.push_back(
        sampler.sample(mine, vocabulary.first_code(), vocabulary.size(), static_cast<std::uint64_t>(position)));
  }
}

std::vector<std::vector<std::int32_t>> Rollout::next_each(std::span<Rollout* const> rollouts,
                                                          std::span<const Action> actions) {
  std::vector<std::vector<std::int32_t>> codes;
  if (rollouts.empty()) return codes;
  const SequenceLayout& layout = rollouts[0]->model_->layout();
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    Rollout& rollout = *rollouts[i];
    ORRERY_ASSERT(rollout.model_ == rollouts[0]->model_, "[rollout] worlds of different models in one step");
    const auto header = layout.vocabulary().frame_header(actions[i]);
    rollout.make_room();
    rollout.groups_.insert(rollout.groups_.end(), header.begin(), header.end());
    if (rollout.measure_entropy_) rollout.entropy_.assign(static_cast<std::size_t>(layout.cells()), 0.0f);
  }
  for (std::int64_t k = 0; k < layout.cells(); ++k) draw_code(rollouts, k);
  for (Rollout* rollout : rollouts) {
    ++rollout->latents_;
    rollout->end_opening();
    codes.push_back(layout.codes_of(std::span(rollout->groups_).last(static_cast<std::size_t>(layout.cells()))));
  }
  return codes;
}

std::vector<std::int32_t> Rollout::next(const Action& action) {
  Rollout* const self = this;
  return std::move(next_each(std::span(&self, 1), std::span(&action, 1))[0]);
}

void Rollout::give(std::span<const std::int32_t> codes, const Action& action) {
  const std::vector<std::int32_t> group = model_->layout().group_tokens(action, codes);
  make_room();
  groups_.insert(groups_.end(), group.begin(), group.end());
  ++latents_;
  end_opening();
}

std::int64_t planned_tokens(const LoadedModel& model, std::int64_t prompt_tokens, std::int64_t latents, bool guided) {
  const std::int64_t group = model.layout().group();
  const std::int64_t room = model.context_groups() - prompt_tokens / group, kept = kept_latents(room);
  const std::int64_t anew = latents > room ? (latents - room + room - kept - 1) / (room - kept) : 0;
  // A latent frame's last code goes in with the next frame's header, so it is spared before each new start and at the
  // end.
  const std::int64_t stream = prompt_tokens + latents * group - 1 + anew * (prompt_tokens + kept * group - 1);
  return stream + (guided ? stream : prompt_tokens + group - 1);
}

}  // namespace orrery::pipeline
