// Tokens of one sequence, drawn one after the other. With drafts, the multi-token-prediction block guesses ahead and
// the model checks the guesses in one step (Leviathan et al. 2023, arXiv 2211.17192). The sampler draws a position's
// token from that position's logits and random number alone, and a step's logits do not depend on how many tokens it
// has: the tokens are bit for bit those without drafts, greedy or sampled.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/generate/decoder.h"
#include "core/generate/sampler.h"

namespace orrery {

struct DraftCount {
  std::int64_t drafted = 0, accepted = 0;
  double acceptance() const { return drafted > 0 ? static_cast<double>(accepted) / static_cast<double>(drafted) : 0; }
};

/// A copy is a fork of the sequence. The decoder must outlive it.
class TokenStream;

/// Codes that one stream is to draw (Decoder::draw_codes); with guidance, another one beside it without a prompt.
struct StreamRun {
  TokenStream* stream = nullptr;
  TokenStream* without = nullptr;
  float guidance = 1;
  const Sampler* sampler = nullptr;
  std::uint64_t position = 0;
};

class TokenStream {
 public:
  /// `drafts`: tokens guessed ahead a step, 0 to 8 and less than the window; more than 0 needs a model with a
  /// multi-token-prediction block.
  explicit TokenStream(const Decoder& decoder, std::int64_t drafts = 0);

  /// Tokens that are given. They go through the model when the next logits are needed.
  void push(std::span<const std::int32_t> ids);
  /// Draws a token of [first, last) with the sampler's random number of `position`, and appends it. `more`: tokens that
  /// will be drawn after it from the same range at the positions behind (drafts do not go further).
  std::int32_t next(const Sampler& sampler, std::int32_t first, std::int32_t last, std::uint64_t position,
                    std::int64_t more);
  /// The same for a code, as Decoder::codes() draws it.
  std::int32_t next_code(const Sampler& sampler, std::uint64_t position, std::int64_t more);
  /// The row that the last next() or next_code() drew from, until something else is asked.
  std::span<const float> drawn_from() const;
  /// Lets the tokens that several streams of one decoder have not fed through the model together, in one pass over the
  /// weights: each one's logits are bit for bit those without the others.
  static void feed_each(std::span<TokenStream* const> streams);
  /// Lets streams of one decoder that draws codes each draw and append `count` of them, at the positions from its own
  /// on; each has tokens that are not fed, and neither drafts nor can say what it drew from. The codes of each.
  static std::vector<std::vector<std::int32_t>> next_codes_each(std::span<const StreamRun> runs, std::int64_t count);
  /// The decoder's row for the next token.
  std::span<const float> logits();

  /// Given and drawn tokens that went through the model; rejected drafts do not count.
  std::int64_t fed() const { return fed_; }
  const DraftCount& drafts() const { return count_; }

 private:
  void feed(std::span<const std::int32_t> guesses);
  using Draw = std::function<std::int32_t(std::span<const float> row, std::uint64_t position)>;
  std::int32_t next(const Draw& draw, std::uint64_t position, std::int64_t more);
  std::vector<std::int32_t> guess(const Draw& draw, std::uint64_t position, std::int64_t count);
  void take_back();
  std::span<const float> row(std::size_t index) const;

  const Decoder* decoder_;
  std::int64_t most_;
  DecodeState state_;
  std::vector<std::int32_t> unfed_;    ///< certain tokens that the state has not seen
  std::vector<std::int32_t> guesses_;  ///< in the state, not yet confirmed
  std::vector<float> rows_;            ///< the decoder's, after the last certain token and after each guess
  std::size_t row_ = 0, drawn_row_ = 0;
  std::int64_t kept_ = 0;  ///< certain tokens of the last block
  std::int64_t fed_ = 0;
  DraftCount count_;
};

}  // namespace orrery
