// The ids of everything in a sequence that is not text: marks, actions, rows, columns and video codes, in one
// contiguous block behind the text ids. A sequence is
//   <bos> text ids <video> <pad>* { <frame> <action> <row> <col> c₁ … c_N } …            (a video from words)
//   <bos> <video> <pad>* { <frame> <action> <row> <col> c₁ … c_N } … <text> text ids <text-end>   (words from a video)
// and the block is: marks, actions, <row_0> …, <col_0> …, <code_0> …. All are special added tokens of tokenizer.json;
// codes only where the code book is small enough to list (up to kListedCodes).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/text/tokenizer.h"

namespace orrery {

enum class Mark : std::uint8_t { pad, bos, video, frame, text, text_end, nowhere };
inline constexpr std::int32_t kMarkCount = 7;

/// What a person does to the simulated world at a latent frame.
enum class ActionKind : std::uint8_t { none, push_left, push_right, push_up, push_down };
inline constexpr std::int32_t kActionKindCount = 5;
/// "none", "push-left", … as the command line spells them.
const char* name_of(ActionKind kind);
std::optional<ActionKind> action_kind(std::string_view name);

/// An action and the cell of the picture where it happens: row 0 on top, column 0 on the left. None happens nowhere.
struct Action {
  ActionKind kind = ActionKind::none;
  std::int32_t row = 0, column = 0;
  friend bool operator==(const Action& a, const Action& b) {
    return a.kind == b.kind && (a.kind == ActionKind::none || (a.row == b.row && a.column == b.column));
  }
};

/// How many of each the block holds.
struct VideoVocabularySizes {
  std::int32_t rows = 8, columns = 8;  ///< Cells of the latent picture, 8 × 8 for 64² at 8 pixels a cell.
  std::int32_t codes = 8000;           ///< Entries of the codebook.
  /// The largest codebook that tokenizer.json lists.
  static constexpr std::int32_t kListedCodes = 1 << 16;
};

class VideoVocabulary {
 public:
  /// Appends the block to a text tokenizer. Throws InputError for counts below 1, or tokens that are there already.
  static VideoVocabulary append(Tokenizer& tokenizer, const VideoVocabularySizes& sizes);
  /// Finds the block in a tokenizer; `codes`: entries of the codebook. Throws InputError naming the first token that is
  /// missing or out of its place, and for a tokenizer that lists another number of codes.
  static VideoVocabulary from(const Tokenizer& tokenizer, std::int32_t codes);
  /// The block behind `first` text ids, without a tokenizer.
  VideoVocabulary(std::int32_t first, const VideoVocabularySizes& sizes);

  const VideoVocabularySizes& sizes() const { return sizes_; }
  /// Text ids are 0 to first() − 1.
  std::int32_t first() const { return first_; }
  /// One above the last id of the block.
  std::int32_t size() const { return first_code() + sizes_.codes; }
  /// Ids that the tokenizer lists: all, or those before the codes.
  std::int32_t listed() const { return sizes_.codes <= VideoVocabularySizes::kListedCodes ? size() : first_code(); }

  // Ids; each throws InputError for what is out of range.
  std::int32_t mark(Mark mark) const { return first_ + static_cast<std::int32_t>(mark); }
  std::int32_t action(ActionKind kind) const { return first_ + kMarkCount + static_cast<std::int32_t>(kind); }
  std::int32_t row(std::int32_t index) const;
  std::int32_t column(std::int32_t index) const;
  std::int32_t code(std::int32_t index) const;
  std::int32_t first_row() const { return first_ + kMarkCount + kActionKindCount; }
  std::int32_t first_column() const { return first_row() + sizes_.rows; }
  std::int32_t first_code() const { return first_column() + sizes_.columns; }

  bool is_text(std::int32_t id) const { return id >= 0 && id < first_; }
  bool is_code(std::int32_t id) const { return id >= first_code() && id < size(); }
  /// The codebook entry of a code's id. Throws InputError for other ids.
  std::int32_t code_of(std::int32_t id) const;

  /// Tokens in front of the codes of each latent frame.
  static constexpr std::int32_t kHeader = 4;
  /// <frame> <action> <row> <col>. For no action row and column are <nowhere>. Throws InputError off the picture.
  std::array<std::int32_t, kHeader> frame_header(const Action& action) const;
  /// The action of a header. Throws InputError saying which of the four ids is not what it should be.
  Action action_of(std::span<const std::int32_t> header) const;

  /// "<row_3>" and so on. Throws InputError for text ids and ids behind the block.
  std::string name(std::int32_t id) const;

 private:
  std::int32_t first_;
  VideoVocabularySizes sizes_;
};

}  // namespace orrery
