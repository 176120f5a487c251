#include "core/text/sequence.h"

#include "core/base/error.h"

namespace orrery {

SequenceLayout::SequenceLayout(VideoVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
  const std::int64_t rows = vocabulary_.sizes().rows, columns = vocabulary_.sizes().columns;
  ORRERY_CHECK(rows % 2 == 0 && columns % 2 == 0, "[sequence] a grid of ", rows, " x ", columns,
               " cells, expected even numbers");
  for (std::int64_t row = 0; row < rows; row += 2)
    for (std::int64_t column = 0; column < columns; column += 2)
      for (std::int64_t inside = 0; inside < 4; ++inside)
        order_.push_back((row + inside / 2) * columns + column + inside % 2);
}

std::vector<std::int32_t> SequenceLayout::prompt(std::span<const std::int32_t> text) const {
  std::vector<std::int32_t> ids{vocabulary_.mark(Mark::bos)};
  ids.insert(ids.end(), text.begin(), text.end());
  ids.push_back(vocabulary_.mark(Mark::video));
  while (static_cast<std::int64_t>(ids.size()) % group() != 0) ids.push_back(vocabulary_.mark(Mark::pad));
  return ids;
}

std::vector<std::int32_t> SequenceLayout::group_tokens(const Action& action,
                                                       std::span<const std::int32_t> codes) const {
  ORRERY_CHECK(static_cast<std::int64_t>(codes.size()) == cells(), "[sequence] ", codes.size(),
               " codes for a latent frame, expected ", cells());
  const auto header = vocabulary_.frame_header(action);
  std::vector<std::int32_t> tokens(header.begin(), header.end());
  for (const std::int64_t cell : order_) tokens.push_back(vocabulary_.code(codes[static_cast<std::size_t>(cell)]));
  return tokens;
}

std::vector<std::int32_t> SequenceLayout::codes_of(std::span<const std::int32_t> tokens) const {
  ORRERY_CHECK(static_cast<std::int64_t>(tokens.size()) == cells(), "[sequence] ", tokens.size(),
               " code tokens, expected ", cells());
  std::vector<std::int32_t> codes(order_.size());
  for (std::size_t k = 0; k < order_.size(); ++k)
    codes[static_cast<std::size_t>(order_[k])] = vocabulary_.code_of(tokens[k]);
  return codes;
}

}  // namespace orrery
