#include "core/text/vocabulary.h"

#include <limits>
#include <vector>

#include "core/base/error.h"

namespace orrery {

namespace {

constexpr std::array<const char*, kMarkCount> kMarks = {"<pad>",  "<bos>",      "<video>",  "<frame>",
                                                        "<text>", "<text-end>", "<nowhere>"};
constexpr std::array<const char*, kActionKindCount> kActions = {"none", "push-left", "push-right", "push-up",
                                                                "push-down"};

std::int32_t numbered(std::int32_t first, std::int32_t count, std::int32_t index, const char* what) {
  ORRERY_CHECK(index >= 0 && index < count, "[video vocabulary] ", what, " ", index, " is out of range, expected 0 to ",
               count - 1);
  return first + index;
}

std::string number_name(const char* what, std::int32_t index) {
  return std::string("<") + what + "_" + std::to_string(index) + ">";
}

/// How many tokens <what_0>, <what_1>, … there are.
std::int32_t count_numbered(const Tokenizer& tokenizer, const char* what) {
  std::int32_t count = 0;
  while (tokenizer.find(number_name(what, count))) ++count;
  return count;
}

std::int32_t expect_numbered(const Tokenizer& tokenizer, const char* what) {
  const std::int32_t count = count_numbered(tokenizer, what);
  ORRERY_CHECK(count > 0, "[video vocabulary] the tokenizer has no token ", number_name(what, 0),
               ": it is not a video model's");
  return count;
}

}  // namespace

const char* name_of(ActionKind kind) { return kActions[static_cast<std::size_t>(kind)]; }

std::optional<ActionKind> action_kind(std::string_view name) {
  for (std::size_t i = 0; i < kActions.size(); ++i) {
    if (name == kActions[i]) return static_cast<ActionKind>(i);
  }
  return std::nullopt;
}

VideoVocabulary::VideoVocabulary(std::int32_t first, const VideoVocabularySizes& sizes) : first_(first), sizes_(sizes) {
  ORRERY_CHECK(first >= 0, "[video vocabulary] ", first, " text ids, expected at least 0");
  ORRERY_CHECK(sizes.rows > 0 && sizes.columns > 0 && sizes.codes > 0, "[video vocabulary] ", sizes.rows, " rows, ",
               sizes.columns, " columns and ", sizes.codes, " codes, expected at least 1 of each");
  const std::int64_t total =
      std::int64_t{first} + kMarkCount + kActionKindCount + sizes.rows + sizes.columns + sizes.codes;
  ORRERY_CHECK(total <= std::numeric_limits<std::int32_t>::max(), "[video vocabulary] ", total,
               " ids do not fit into 31 bits");
}

VideoVocabulary VideoVocabulary::append(Tokenizer& tokenizer, const VideoVocabularySizes& sizes) {
  const VideoVocabulary vocabulary(tokenizer.size(), sizes);
  std::vector<AddedToken> tokens;
  for (std::int32_t id = vocabulary.first(); id < vocabulary.listed(); ++id) {
    AddedToken token;
    token.content = vocabulary.name(id);
    token.special = true;
    tokens.push_back(std::move(token));
  }
  tokenizer.add_tokens(tokens);
  return vocabulary;
}

VideoVocabulary VideoVocabulary::from(const Tokenizer& tokenizer, std::int32_t codes) {
  const auto first = tokenizer.find(kMarks[0]);
  ORRERY_CHECK(first.has_value(), "[video vocabulary] the tokenizer has no token ", kMarks[0],
               ": it is not a video model's");
  const VideoVocabulary vocabulary(*first,
                                   {expect_numbered(tokenizer, "row"), expect_numbered(tokenizer, "col"), codes});
  const std::int32_t listed = count_numbered(tokenizer, "code"),
                     expected = vocabulary.listed() - vocabulary.first_code();
  ORRERY_CHECK(listed == expected, "[video vocabulary] the tokenizer has ", listed, " codes, expected ", expected,
               " for a codebook of ", codes);
  for (std::int32_t id = *first; id < vocabulary.listed(); ++id) {
    const std::string name = vocabulary.name(id);
    const auto found = tokenizer.find(name);
    ORRERY_CHECK(found.has_value(), "[video vocabulary] the tokenizer has no token ", name);
    ORRERY_CHECK(*found == id, "[video vocabulary] the token ", name, " has the id ", *found, ", expected ", id);
  }
  return vocabulary;
}

std::int32_t VideoVocabulary::row(std::int32_t index) const { return numbered(first_row(), sizes_.rows, index, "row"); }
std::int32_t VideoVocabulary::column(std::int32_t index) const {
  return numbered(first_column(), sizes_.columns, index, "column");
}
std::int32_t VideoVocabulary::code(std::int32_t index) const {
  return numbered(first_code(), sizes_.codes, index, "code");
}

std::int32_t VideoVocabulary::code_of(std::int32_t id) const {
  ORRERY_CHECK(is_code(id), "[video vocabulary] the id ", id, " is no video code, expected ", first_code(), " to ",
               size() - 1);
  return id - first_code();
}

std::array<std::int32_t, VideoVocabulary::kHeader> VideoVocabulary::frame_header(const Action& action_) const {
  if (action_.kind == ActionKind::none)
    return {mark(Mark::frame), action(ActionKind::none), mark(Mark::nowhere), mark(Mark::nowhere)};
  return {mark(Mark::frame), action(action_.kind), row(action_.row), column(action_.column)};
}

Action VideoVocabulary::action_of(std::span<const std::int32_t> header) const {
  ORRERY_CHECK(header.size() == kHeader, "[video vocabulary] a frame's header has ", header.size(), " ids, expected ",
               kHeader);
  const auto expect = [](bool holds, std::int32_t id, const char* what) {
    ORRERY_CHECK(holds, "[video vocabulary] the id ", id, " stands where ", what, " is expected");
  };
  expect(header[0] == mark(Mark::frame), header[0], "<frame>");
  const std::int32_t kind = header[1] - action(ActionKind::none);
  expect(kind >= 0 && kind < kActionKindCount, header[1], "an action");
  if (kind == 0) {
    expect(header[2] == mark(Mark::nowhere), header[2], "<nowhere>");
    expect(header[3] == mark(Mark::nowhere), header[3], "<nowhere>");
    return {};
  }
  expect(header[2] >= first_row() && header[2] < first_column(), header[2], "a row");
  expect(header[3] >= first_column() && header[3] < first_code(), header[3], "a column");
  return {static_cast<ActionKind>(kind), header[2] - first_row(), header[3] - first_column()};
}

std::string VideoVocabulary::name(std::int32_t id) const {
  ORRERY_CHECK(id >= first_ && id < size(), "[video vocabulary] the id ", id, " is not in the block, expected ", first_,
               " to ", size() - 1);
  if (id < first_ + kMarkCount) return kMarks[static_cast<std::size_t>(id - first_)];
  if (id < first_row())
    return std::string("<action-") + kActions[static_cast<std::size_t>(id - first_ - kMarkCount)] + ">";
  if (id < first_column()) return number_name("row", id - first_row());
  if (id < first_code()) return number_name("col", id - first_column());
  return number_name("code", id - first_code());
}

}  // namespace orrery
