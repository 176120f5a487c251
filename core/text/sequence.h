// The one sequence of text, action and video tokens that the transformer reads and writes:
//   <bos> text ids <video> <pad>* { <frame> <action> <row> <col> c₁ … c_N } …
//   <bos> <video> <pad>* { … } … <text> text ids <text-end>
// The padding makes the first group start at a multiple of the group's length. Codes run in 2×2 blocks, so that a CSA
// window of four tokens is one square of the picture.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/text/vocabulary.h"

namespace orrery {

class SequenceLayout {
 public:
  /// Rows and columns are even.
  explicit SequenceLayout(VideoVocabulary vocabulary);

  const VideoVocabulary& vocabulary() const { return vocabulary_; }
  std::int64_t cells() const { return static_cast<std::int64_t>(order_.size()); }
  /// Tokens of a latent frame.
  std::int64_t group() const { return VideoVocabulary::kHeader + cells(); }

  /// The tokens before the first group of a text-to-video sequence, padded to whole groups.
  std::vector<std::int32_t> prompt(std::span<const std::int32_t> text) const;
  /// One group; `codes` in row-major cell order.
  std::vector<std::int32_t> group_tokens(const Action& action, std::span<const std::int32_t> codes) const;
  /// The codes of a group's tokens (after its header) in row-major cell order. Throws InputError for ids that are no
  /// codes.
  std::vector<std::int32_t> codes_of(std::span<const std::int32_t> tokens) const;
  /// What follows the last group when text is to be written, and what ends it.
  std::int32_t text_mark() const { return vocabulary_.mark(Mark::text); }
  std::int32_t text_end() const { return vocabulary_.mark(Mark::text_end); }
  /// Cell (row-major) of the k-th code of a group.
  std::int64_t cell(std::int64_t k) const { return order_[static_cast<std::size_t>(k)]; }

 private:
  VideoVocabulary vocabulary_;
  std::vector<std::int64_t> order_;
};

}  // namespace orrery
