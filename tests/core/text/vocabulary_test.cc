// The block of video tokens behind the text ids, and the words a model knows.
#include "core/text/vocabulary.h"

#include <set>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/text/words.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

Tokenizer text_tokenizer() {
  return Tokenizer::read(std::filesystem::path(ORRERY_TEST_FIXTURES) / "tokenizers" / "o200k.json");
}

}  // namespace

TEST_CASE("the block of video tokens is contiguous and survives the file", "[vocabulary]") {
  Tokenizer tokenizer = text_tokenizer();
  const std::int32_t text_ids = tokenizer.size();
  const VideoVocabulary made = VideoVocabulary::append(tokenizer, {8, 4, 100});
  CHECK(made.first() == text_ids);
  CHECK(made.size() == text_ids + 7 + 5 + 8 + 4 + 100);
  CHECK(tokenizer.size() == made.size());
  const test::TemporaryFolder folder;
  tokenizer.write(folder / "tokenizer.json");
  const Tokenizer read = Tokenizer::read(folder.path());
  const VideoVocabulary found = VideoVocabulary::from(read, 100);
  CHECK(found.first() == made.first());
  CHECK(found.sizes().rows == 8);
  CHECK(found.sizes().columns == 4);
  CHECK(found.sizes().codes == 100);
  std::set<std::string> names;
  for (std::int32_t id = made.first(); id < made.size(); ++id) {
    CHECK(read.find(made.name(id)) == id);
    names.insert(made.name(id));
  }
  CHECK(names.size() == static_cast<std::size_t>(made.size() - made.first()));
  CHECK(made.name(made.mark(Mark::text_end)) == "<text-end>");
  CHECK(made.name(made.action(ActionKind::push_up)) == "<action-push-up>");
  CHECK(made.name(made.row(7)) == "<row_7>");
  CHECK(made.name(made.column(3)) == "<col_3>");
  CHECK(made.name(made.code(99)) == "<code_99>");
  CHECK(made.code_of(made.code(42)) == 42);
  CHECK(made.is_text(text_ids - 1));
  CHECK_FALSE(made.is_text(text_ids));
  CHECK_FALSE(made.is_code(made.column(3)));
  // A sequence written as text and as ids is the same; a prompt's "<code_5>" stays text.
  CHECK(read.encode("<bos>a<video><code_5>").back() == made.code(5));
  for (const std::int32_t id : read.encode("<bos><code_5>", {.special_as_text = true})) CHECK(made.is_text(id));
  CHECK(read.decode(read.encode("<bos>a red ball<video><code_5>")) == "a red ball");
}

TEST_CASE("a code book too large to list has ids behind the tokenizer's", "[vocabulary]") {
  Tokenizer tokenizer = text_tokenizer();
  constexpr std::int32_t kCodes = 1 << 24;
  const VideoVocabulary made = VideoVocabulary::append(tokenizer, {8, 4, kCodes});
  CHECK(tokenizer.size() == made.first_code());
  CHECK(made.size() == made.first_code() + kCodes);
  const VideoVocabulary found = VideoVocabulary::from(tokenizer, kCodes);
  CHECK(found.first() == made.first());
  CHECK(found.code_of(found.code(kCodes - 1)) == kCodes - 1);
  CHECK_THROWS_WITH(VideoVocabulary::from(tokenizer, 100), ContainsSubstring("has 0 codes, expected 100"));
}

TEST_CASE("actions are written into a frame's header and read back", "[vocabulary]") {
  const VideoVocabulary vocabulary(500, {8, 4, 100});
  for (int kind = 0; kind < kActionKindCount; ++kind) {
    const Action action{static_cast<ActionKind>(kind), 7, 3};
    CHECK(vocabulary.action_of(vocabulary.frame_header(action)) == action);
    CHECK(action_kind(name_of(action.kind)) == action.kind);
  }
  CHECK_FALSE(action_kind("push").has_value());
  const auto none = vocabulary.frame_header({});
  CHECK(none[0] == vocabulary.mark(Mark::frame));
  CHECK(none[2] == vocabulary.mark(Mark::nowhere));
  CHECK_THROWS_WITH(vocabulary.frame_header({ActionKind::push_up, 8, 0}),
                    ContainsSubstring("row 8 is out of range, expected 0 to 7"));
  CHECK_THROWS_WITH(vocabulary.frame_header({ActionKind::push_up, 0, -1}),
                    ContainsSubstring("column -1 is out of range"));
  const auto push = vocabulary.frame_header({ActionKind::push_left, 1, 2});
  for (std::size_t place = 0; place < 4; ++place) {
    for (const auto& header : {none, push}) {
      auto broken = header;
      broken[place] = vocabulary.code(0);
      CHECK_THROWS_WITH(vocabulary.action_of(broken), ContainsSubstring("is expected"));
    }
  }
  for (const auto& swapped :
       {std::array{push[0], push[1], push[3], push[3]}, std::array{push[0], push[1], push[2], push[2]}}) {
    CHECK_THROWS_WITH(vocabulary.action_of(swapped), ContainsSubstring("is expected"));
  }
  CHECK_THROWS_WITH(vocabulary.action_of(std::span(none).first(3)), ContainsSubstring("has 3 ids"));
}

TEST_CASE("a block that does not fit is refused", "[vocabulary]") {
  Tokenizer tokenizer = text_tokenizer();
  CHECK_THROWS_WITH(VideoVocabulary::from(tokenizer, 10), ContainsSubstring("has no token <pad>"));
  CHECK_THROWS_AS(VideoVocabulary::append(tokenizer, {0, 4, 100}), InputError);
  CHECK_THROWS_AS(VideoVocabulary::append(tokenizer, {4, 4, -1}), InputError);
  CHECK_THROWS_AS(VideoVocabulary(-1, {}), InputError);
  CHECK_THROWS_AS(VideoVocabulary(2'000'000'000, {8, 8, 2'000'000'000}), InputError);
  const VideoVocabulary vocabulary = VideoVocabulary::append(tokenizer, {8, 8, 10});
  CHECK_THROWS_WITH(VideoVocabulary::append(tokenizer, {8, 8, 10}), ContainsSubstring("in the vocabulary already"));
  CHECK_THROWS_AS(vocabulary.code(10), InputError);
  CHECK_THROWS_AS(vocabulary.code(-1), InputError);
  CHECK_THROWS_AS(vocabulary.code_of(vocabulary.first()), InputError);
  CHECK_THROWS_AS(vocabulary.name(vocabulary.first() - 1), InputError);
  CHECK_THROWS_AS(vocabulary.name(vocabulary.size()), InputError);
  // Another order of the tokens is another vocabulary.
  Tokenizer other = text_tokenizer();
  std::vector<AddedToken> tokens;
  for (std::int32_t id = vocabulary.first(); id < vocabulary.size(); ++id)
    tokens.push_back({.content = vocabulary.name(id)});
  std::swap(tokens[1], tokens[2]);
  other.add_tokens(tokens);
  CHECK_THROWS_WITH(VideoVocabulary::from(other, 10), ContainsSubstring("the token <bos> has the id"));
}

TEST_CASE("words are found without case and punctuation", "[words]") {
  CHECK(words_of("A red ball, it's 2.5 m — “high”! 🚀🚀 don’t") ==
        std::vector<std::string>{"A", "red", "ball", "it's", "2", "5", "m", "high", "🚀🚀", "don’t"});
  CHECK(words_of("赤い ボール\u0301").size() == 2);
  CHECK(words_of("  \n\t .,;'- ").empty());
  CHECK(fold_word("Don’T") == "don't");
  CHECK(fold_word("ÉCOLE ÄÖÜ×ß ĄŽŁŸ ΆΌΩ ЁЖҐӁ İı") == "école äöü×ß ąžłÿ άόω ёжґӁ İı");
  CHECK_THROWS_WITH(words_of("a\xff"), ContainsSubstring("not valid UTF-8 at byte 1"));
}

TEST_CASE("a prompt's unknown words are named as they stand, each once", "[words]") {
  const test::TemporaryFolder folder;
  KnownWords known;
  known.add("A red ball bounces on the floor.");
  known.add("Two balls; it's red!");
  known.write(folder / "words.txt");
  CHECK(read_file(folder / "words.txt") == "a\nball\nballs\nbounces\nfloor\nit's\non\nred\nthe\ntwo\n");
  const KnownWords read = KnownWords::read(folder / "words.txt");
  CHECK(read.size() == 10);
  CHECK(read.unknown_words("A RED ball bounces, on the Floor — it’s…").empty());
  CHECK(read.unknown_words("A Purple elephant bounces on a purple 🐘.") ==
        std::vector<std::string>{"Purple", "elephant", "🐘"});
  CHECK(read.unknown_words("").empty());
  CHECK(KnownWords().unknown_words("red") == std::vector<std::string>{"red"});
  write_file(folder / "words.txt", "a\r\n\nRed\n");
  CHECK(KnownWords::read(folder / "words.txt").contains("RED"));
  write_file(folder / "words.txt", "a\nred ball\n");
  CHECK_THROWS_WITH(KnownWords::read(folder / "words.txt"), ContainsSubstring("line 2 is not one word"));
  write_file(folder / "words.txt", "a\xff\n");
  CHECK_THROWS_WITH(KnownWords::read(folder / "words.txt"), ContainsSubstring("not valid UTF-8"));
  CHECK_THROWS_AS(KnownWords::read(folder / "none.txt"), InputError);
}
