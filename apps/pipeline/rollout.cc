#include "apps/pipeline/rollout.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace orrery::pipeline {

namespace {

// Latent frames that stay when the context is full.
std::int64_t kept_latents(std::int64_t room) { return std::max<std::int64_t>(1, room / 2); }

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
      drafts_(options.drafts),
      measure_entropy_(options.measure_entropy) {
  const std::vector<std::int32_t> text = checked_prompt(model, options);
  const auto add = [&](std::vector<std::int32_t> prompt, std::int64_t drafts) {
    streams_.push_back({std::move(prompt), TokenStream(model.decoder(), drafts)});
    streams_.back().tokens.push(streams_.back().prompt);
  };
  add(model.layout().prompt(text), drafts_);
  if (cfg_scale_ != 1 || !text.empty()) add(model.layout().prompt({}), 0);
}

std::vector<std::int32_t> Rollout::checked_prompt(const LoadedModel& model, const RolloutOptions& options) {
  ORRERY_CHECK(std::isfinite(options.cfg_scale) && options.cfg_scale >= 0 && options.cfg_scale <= 100, "cfg-scale is ",
               options.cfg_scale, ", expected 0 to 100");
  ORRERY_CHECK(options.drafts == 0 || options.cfg_scale == 1, "drafts are ", options.drafts, " with cfg-scale ",
               options.cfg_scale, ": expected none with guidance");
  if (options.prompt.empty() && options.allow_empty) return {};
  return model.encode_prompt(options.prompt);
}

void Rollout::check(const LoadedModel& model, const RolloutOptions& options) {
  options.sampling.validate();
  checked_prompt(model, options);
  if (options.drafts != 0) TokenStream(model.decoder(), options.drafts);  // which knows who can draft
}

std::int64_t Rollout::context_groups() const {
  return static_cast<std::int64_t>(streams_[0].prompt.size() + groups_.size()) / model_->layout().group();
}

std::int64_t Rollout::tokens() const {
  std::int64_t sum = tokens_;
  for (const Stream& stream : streams_) sum += stream.tokens.fed();
  return sum;
}

DraftCount Rollout::drafts() const {
  DraftCount sum = draft_count_;
  sum.drafted += streams_[0].tokens.drafts().drafted;
  sum.accepted += streams_[0].tokens.drafts().accepted;
  return sum;
}

void Rollout::push(std::span<const std::int32_t> ids) {
  groups_.insert(groups_.end(), ids.begin(), ids.end());
  for (Stream& stream : streams_) stream.tokens.push(ids);
}

// Latent frames that fit beside the prompt.
std::int64_t Rollout::most_latents() const {
  return model_->context_groups() - static_cast<std::int64_t>(streams_[0].prompt.size()) / model_->layout().group();
}

std::int64_t Rollout::room() const {
  return most_latents() - static_cast<std::int64_t>(groups_.size()) / model_->layout().group();
}

void Rollout::settle() {
  make_room();
  for (Stream& stream : streams_) stream.tokens.logits();
}

void Rollout::reseed(std::uint64_t seed) {
  opening_ = Sampler(opening_.options(), seed);
  sampler_ = Sampler(sampler_.options(), seed);
}

// Starts the sequence anew when one more latent frame would not fit.
void Rollout::make_room() {
  if (room() > 0) return;
  const std::int64_t group = model_->layout().group(), room = most_latents();
  groups_.erase(groups_.begin(), groups_.end() - static_cast<std::ptrdiff_t>(kept_latents(room) * group));
  tokens_ = tokens();
  draft_count_ = drafts();
  for (Stream& stream : streams_) {
    stream.tokens = TokenStream(model_->decoder(), drafts_);
    stream.tokens.push(stream.prompt);
    stream.tokens.push(groups_);
  }
}

// Behind the first latent frame, only one who asks for guidance pays for it.
void Rollout::end_opening() {
  if (cfg_scale_ != 1 || streams_.size() == 1) return;
  tokens_ += streams_[1].tokens.fed();
  streams_.pop_back();
}

float Rollout::guidance() const { return static_cast<float>(cfg_scale_ == 1 ? kOpeningGuidance : cfg_scale_); }

// The k-th code's position in the whole clip, which starting anew does not change.
std::uint64_t Rollout::code_position(std::int64_t k) const {
  return static_cast<std::uint64_t>(latents_ * model_->layout().group() + VideoVocabulary::kHeader + k);
}

// The k-th code of the open group.
void Rollout::draw_code(std::int64_t k) {
  const SequenceLayout& layout = model_->layout();
  const CodeDraw& codes = model_->decoder().codes();
  const Sampler& sampler = this->sampler();
  const std::uint64_t position = code_position(k);
  float* const entropy = measure_entropy_ ? &entropy_[static_cast<std::size_t>(layout.cell(k))] : nullptr;
  if (streams_.size() == 1) {
    TokenStream& tokens = streams_[0].tokens;
    groups_.push_back(tokens.next_code(sampler, position, layout.cells() - 1 - k));
    if (entropy != nullptr) *entropy = codes.entropy({tokens.drawn_from()}, groups_.back());
  } else {
    const CodeRows rows{streams_[0].tokens.logits(), streams_[1].tokens.logits(), guidance()};
    const std::int32_t code = codes.draw(rows, sampler, position);
    if (entropy != nullptr) *entropy = codes.entropy(rows, code);
    push(std::span(&code, 1));
  }
}

bool Rollout::device_draws(std::span<Rollout* const> rollouts) {
  return rollouts[0]->model_->decoder().draws_codes() &&
         std::none_of(rollouts.begin(), rollouts.end(),
                      [](const Rollout* rollout) { return rollout->measure_entropy_; });
}

void Rollout::draw_on_device(std::span<Rollout* const> rollouts) {
  std::vector<StreamRun> runs;
  for (Rollout* rollout : rollouts) {
    StreamRun run{&rollout->streams_[0].tokens, nullptr, 1, &rollout->sampler(), rollout->code_position(0)};
    if (rollout->streams_.size() > 1) run.without = &rollout->streams_[1].tokens, run.guidance = rollout->guidance();
    runs.push_back(run);
  }
  const auto codes = TokenStream::next_codes_each(runs, rollouts[0]->model_->layout().cells());
  for (std::size_t i = 0; i < rollouts.size(); ++i)
    rollouts[i]->groups_.insert(rollouts[i]->groups_.end(), codes[i].begin(), codes[i].end());
}

std::vector<std::vector<std::int32_t>> Rollout::next_each(std::span<Rollout* const> rollouts,
                                                          std::span<const Action> actions) {
  std::vector<std::vector<std::int32_t>> codes;
  if (rollouts.empty()) return codes;
  const SequenceLayout& layout = rollouts[0]->model_->layout();
  std::vector<TokenStream*> together;  // who drafts goes alone: the drafts depend on what was drawn
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    Rollout& rollout = *rollouts[i];
    ORRERY_ASSERT(rollout.model_ == rollouts[0]->model_, "[rollout] worlds of different models in one step");
    rollout.make_room();
    rollout.push(layout.vocabulary().frame_header(actions[i]));
    if (rollout.measure_entropy_) rollout.entropy_.assign(static_cast<std::size_t>(layout.cells()), 0.0f);
    if (rollout.drafts_ == 0 || rollout.streams_.size() == 2)
      for (Stream& stream : rollout.streams_) together.push_back(&stream.tokens);
  }
  const bool on_device = device_draws(rollouts);
  if (on_device) draw_on_device(rollouts);
  for (std::int64_t k = 0; !on_device && k < layout.cells(); ++k) {
    TokenStream::feed_each(together);
    for (Rollout* rollout : rollouts) rollout->draw_code(k);
  }
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
  make_room();
  push(model_->layout().group_tokens(action, codes));
  ++latents_;
  end_opening();
}

std::int64_t context_latents(const LoadedModel& model, std::int64_t prompt_tokens, std::int64_t latent) {
  const std::int64_t room = model.context_groups() - prompt_tokens / model.layout().group();
  std::int64_t held = 0;
  for (std::int64_t i = 0; i < latent; ++i) held = (held < room ? held : kept_latents(room)) + 1;
  return held < room ? held : kept_latents(room);
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
