#include "core/generate/token_stream.h"

#include <algorithm>

namespace orrery {

TokenStream::TokenStream(const Decoder& decoder, std::int64_t drafts)
    : decoder_(&decoder), most_(drafts), state_(decoder.start(drafts > 0)) {
  const std::int64_t most = std::min<std::int64_t>(8, decoder.config().sliding_window - 1);
  ORRERY_CHECK(drafts >= 0 && drafts <= most, "drafts are ", drafts, ", expected 0 to ", most);
}

void TokenStream::take_back() {
  if (guesses_.empty()) return;
  decoder_->keep(state_, kept_);
  guesses_.clear();
}

void TokenStream::push(std::span<const std::int32_t> ids) {
  take_back();
  unfed_.insert(unfed_.end(), ids.begin(), ids.end());
}

// Certain tokens, then guesses, through the model.
void TokenStream::feed(std::span<const std::int32_t> guesses) {
  fed_ += static_cast<std::int64_t>(unfed_.size());
  row_ = 0;
  if (guesses.empty()) {
    rows_ = decoder_->append(state_, unfed_);
  } else {
    kept_ = static_cast<std::int64_t>(unfed_.size());
    guesses_.assign(guesses.begin(), guesses.end());
    unfed_.insert(unfed_.end(), guesses.begin(), guesses.end());
    rows_ = decoder_->append_block(state_, unfed_);
    count_.drafted += static_cast<std::int64_t>(guesses.size());
  }
  unfed_.clear();
}

// The block's guesses, drawn as the sampler will draw the tokens: with the same random numbers, from similar logits.
std::vector<std::int32_t> TokenStream::guess(const Draw& draw, std::uint64_t position, std::int64_t count) {
  std::vector<std::int32_t> guesses;
  std::int32_t id = unfed_.back();
  for (std::int64_t ahead = 0; ahead < count; ++ahead) {
    id = draw(decoder_->draft(state_, id, ahead), position + static_cast<std::uint64_t>(ahead));
    guesses.push_back(id);
  }
  return guesses;
}

void TokenStream::feed_each(std::span<TokenStream* const> streams) {
  std::vector<TokenStream*> fed;
  std::vector<DecodeStep> steps;
  for (TokenStream* stream : streams) {
    ORRERY_ASSERT(stream->decoder_ == streams[0]->decoder_, "[token stream] streams of different decoders in one step");
    if (stream->unfed_.empty()) continue;
    fed.push_back(stream);
    steps.push_back({&stream->state_, stream->unfed_});
  }
  if (fed.empty()) return;
  const std::vector<float> rows = fed[0]->decoder_->append_each(steps);
  auto row = rows.begin();
  const std::ptrdiff_t size = fed[0]->decoder_->row_size();
  for (TokenStream* stream : fed) {
    stream->fed_ += static_cast<std::int64_t>(stream->unfed_.size());
    stream->unfed_.clear();
    stream->rows_.assign(row, row + size);
    stream->row_ = 0;
    row += size;
  }
}

std::vector<std::vector<std::int32_t>> TokenStream::next_codes_each(std::span<const StreamRun> runs,
                                                                    std::int64_t count) {
  std::vector<CodeRun> steps;
  const auto step_of = [](TokenStream* stream) {
    ORRERY_ASSERT(!stream->unfed_.empty() && stream->most_ == 0, "[token stream] a run of codes without a token");
    return DecodeStep{&stream->state_, stream->unfed_};
  };
  for (const StreamRun& run : runs) {
    CodeRun step{step_of(run.stream), {}, run.guidance, run.sampler, run.position};
    if (run.without != nullptr) step.without = step_of(run.without);
    steps.push_back(step);
  }
  const std::vector<std::vector<std::int32_t>> codes = runs[0].stream->decoder_->draw_codes(steps, count);
  for (std::size_t i = 0; i < codes.size(); ++i)
    for (TokenStream* stream : {runs[i].stream, runs[i].without}) {
      if (stream == nullptr) continue;
      stream->fed_ += static_cast<std::int64_t>(stream->unfed_.size()) + count - 1;
      stream->unfed_.assign(1, codes[i].back());
      stream->rows_.clear();
      stream->row_ = stream->drawn_row_ = 0;
    }
  return codes;
}

std::span<const float> TokenStream::row(std::size_t index) const {
  ORRERY_ASSERT(!rows_.empty(), "[token stream] the sequence is empty");
  const auto size = static_cast<std::size_t>(decoder_->row_size());
  return std::span(rows_).subspan(index * size, size);
}

std::span<const float> TokenStream::drawn_from() const { return row(drawn_row_); }

std::span<const float> TokenStream::logits() {
  if (!unfed_.empty()) feed({});
  return row(row_);
}

std::int32_t TokenStream::next(const Sampler& sampler, std::int32_t first, std::int32_t last, std::uint64_t position,
                               std::int64_t more) {
  return next([&](std::span<const float> row, std::uint64_t at) { return sampler.sample(row, first, last, at); },
              position, more);
}

std::int32_t TokenStream::next_code(const Sampler& sampler, std::uint64_t position, std::int64_t more) {
  const CodeDraw& codes = decoder_->codes();
  return next([&](std::span<const float> row, std::uint64_t at) { return codes.draw({row}, sampler, at); }, position,
              more);
}

std::int32_t TokenStream::next(const Draw& draw, std::uint64_t position, std::int64_t more) {
  // The guess needs the state before the last token: where several are new, they go through the model first.
  const std::int64_t count = std::min(most_, more + 1);
  if (count > 0 && unfed_.size() == 1 && state_.length() > 0) feed(guess(draw, position, count));
  const std::int32_t token = draw(logits(), position);
  drawn_row_ = row_;
  if (!guesses_.empty() && guesses_.front() == token) {
    guesses_.erase(guesses_.begin());
    ++row_;
    ++kept_;
    ++fed_;
    ++count_.accepted;
    return token;
  }
  take_back();
  unfed_.push_back(token);
  return token;
}

}  // namespace orrery
