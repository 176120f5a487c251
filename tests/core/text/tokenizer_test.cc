// The tokenizer's own promises: refusals, options, merging against a plain definition, regular expressions.
#include "core/text/tokenizer.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/io/files.h"
#include "core/text/bpe.h"
#include "core/text/bpe_trainer.h"
#include "core/text/byte_level.h"
#include "core/text/regex.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

const char* kPre = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
const char* kModel = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]})";

/// A small file with some keys replaced.
std::string file_with(const std::map<std::string, std::string>& changes) {
  std::map<std::string, std::string> keys = {
      {"version", "\"1.0\""},     {"added_tokens", "[]"}, {"normalizer", "null"}, {"pre_tokenizer", kPre},
      {"post_processor", "null"}, {"decoder", "null"},    {"model", kModel}};
  for (const auto& [key, value] : changes) keys[key] = value;
  std::string text;
  for (const auto& [key, value] : keys) text += (text.empty() ? "{\"" : ",\"") + key + "\":" + value;
  return text + "}";
}

void refuses(const std::map<std::string, std::string>& changes, const std::string& why) {
  const std::string file = file_with(changes);
  INFO(file);
  try {
    Tokenizer::parse(file, "t.json");
    FAIL("accepted");
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK_THAT(message, ContainsSubstring(why));
    CHECK(message.rfind("t.json", 0) == 0);
    CHECK(message.find('\n') == std::string::npos);
  }
}

std::string model_with(const std::string& fields) {
  return R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],)" + fields + "}";
}

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  const Regex regex = Regex::compile(pattern);
  Regex::Matcher matcher(regex, text);
  std::vector<std::string> found;
  for (std::size_t begin = 0, end = 0; matcher.next(begin, end);) found.push_back(text.substr(begin, end - begin));
  return found;
}

/// Byte-pair encoding as it is defined, one merge at a time.
std::vector<std::int32_t> plain_bpe(std::vector<std::int32_t> symbols, const std::vector<BpeMerge>& merges) {
  for (;;) {
    std::size_t best_rank = merges.size(), best = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank].left == symbols[i] && merges[rank].right == symbols[i + 1]) {
          best_rank = rank;
          best = i;
        }
      }
    }
    if (best_rank == merges.size()) return symbols;
    symbols[best] = merges[best_rank].result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("merging equals its definition at every length", "[tokenizer]") {
  Random random(3);
  std::map<std::string, std::int64_t> counts;
  for (int i = 0; i < 60; ++i) {
    std::string word;
    for (std::uint64_t k = random.below(30); k-- > 0;) word += static_cast<char>('a' + random.below(3));
    ++counts[word];
  }
  BpeTraining training;
  training.vocabulary_size = 60;
  training.min_frequency = 1;
  training.all_bytes = false;
  TrainedBpe trained = train_bpe(counts, training);
  REQUIRE(trained.merges.size() > 40);
  const std::vector<BpeMerge> merges = trained.merges;
  const Bpe bpe(std::move(trained.tokens), std::move(trained.merges), {});
  for (const std::size_t length : {0, 1, 2, 3, 5, 31, 47, 48, 49, 50, 97, 200, 331}) {
    for (int repeat = 0; repeat < 8; ++repeat) {
      std::string word;
      for (std::size_t k = 0; k < length; ++k) word += static_cast<char>('a' + random.below(repeat % 3 + 1));
      std::vector<std::int32_t> symbols, ids;
      for (const char c : word) symbols.push_back(bpe.find(std::string(1, c)));
      bpe.encode(word, ids);
      CHECK(ids == plain_bpe(symbols, merges));
    }
  }
}

TEST_CASE("text is encoded with and without special tokens", "[tokenizer]") {
  const Tokenizer tokenizer =
      Tokenizer::read(std::filesystem::path(ORRERY_TEST_FIXTURES) / "tokenizers" / "llama3.json");
  CHECK(tokenizer.encode("", {}) == std::vector<std::int32_t>{0, 1});
  CHECK(tokenizer.encode("", {.add_special_tokens = false}).empty());
  const auto literal = tokenizer.encode("<|end|>", {.add_special_tokens = false, .special_as_text = true});
  CHECK(literal.size() > 1);
  CHECK(tokenizer.decode(literal) == "<|end|>");
  CHECK(tokenizer.encode("<|end|>", {.add_special_tokens = false}) == std::vector<std::int32_t>{1});
  CHECK_THROWS_WITH(tokenizer.encode("ab\xff"), ContainsSubstring("not valid UTF-8 at byte 2"));
  CHECK_THROWS_WITH(tokenizer.decode(std::vector<std::int32_t>{700}),
                    ContainsSubstring("the token id is 700, expected 0 to 699"));
  CHECK_THROWS_AS(tokenizer.decode(std::vector<std::int32_t>{-1}), InputError);
  CHECK_THROWS_AS(tokenizer.token(700), InputError);
  CHECK(tokenizer.token(0) == "<|begin|>");
  CHECK_FALSE(tokenizer.find("no such token").has_value());
}

TEST_CASE("any bytes come back, cut characters become U+FFFD", "[tokenizer]") {
  const Tokenizer tokenizer = Tokenizer::read(std::filesystem::path(ORRERY_TEST_FIXTURES) / "tokenizers" / "gpt2.json");
  const auto ids = tokenizer.encode("🪐");
  REQUIRE(ids.size() > 1);
  CHECK(tokenizer.decode(std::span(ids).first(1)) == "\xEF\xBF\xBD");
  std::string bytes;
  for (const std::int32_t id : ids) bytes += tokenizer.bytes(id);
  CHECK(bytes == "🪐");
  CHECK(whole_characters(bytes) == 4);
  CHECK(whole_characters(bytes.substr(0, 3)) == 0);
  CHECK(whole_characters("a" + bytes.substr(0, 1)) == 1);
  CHECK(whole_characters("ab") == 2);
  CHECK(whole_characters("\x80\x80\x80\x80") == 4);
  CHECK(replace_invalid_utf8("a\xE2\x82z\xF0\x9F\xFF") == "a\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(from_byte_alphabet(to_byte_alphabet(bytes + std::string("\0 \n", 3))) == bytes + std::string("\0 \n", 3));
  CHECK_FALSE(from_byte_alphabet("水").has_value());
  CHECK_FALSE(from_byte_alphabet("\xC4").has_value());
}

TEST_CASE("older files with merges as text read the same", "[tokenizer]") {
  const Tokenizer pairs = Tokenizer::parse(file_with({}), "t");
  const Tokenizer text =
      Tokenizer::parse(file_with({{"model", R"({"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})"}}), "t");
  CHECK(pairs.encode("abab") == std::vector<std::int32_t>{2, 2});
  CHECK(text.encode("abab") == std::vector<std::int32_t>{2, 2});
  CHECK(pairs.encode("c").empty());
}

TEST_CASE("added tokens get the next ids and are refused twice", "[tokenizer]") {
  Tokenizer tokenizer = Tokenizer::parse(file_with({}), "t");
  const Tokenizer before = tokenizer;
  const std::vector<AddedToken> tokens = {{.content = "<x>", .special = true}, {.content = "<y>"}};
  CHECK(tokenizer.add_tokens(tokens) == 3);
  CHECK(tokenizer.size() == 5);
  CHECK(before.size() == 3);
  CHECK(tokenizer.encode("a<y>b<x>") == std::vector<std::int32_t>{0, 4, 1, 3});
  CHECK(tokenizer.decode(std::vector<std::int32_t>{0, 4, 1, 3}) == "a<y>b");
  CHECK(Tokenizer::parse(tokenizer.dump(), "t").added_tokens() == tokenizer.added_tokens());
  CHECK_THROWS_WITH(tokenizer.add_tokens(std::vector<AddedToken>{{.content = "<x>"}}), ContainsSubstring("already"));
  CHECK_THROWS_WITH(tokenizer.add_tokens(std::vector<AddedToken>{{.content = "ab"}}), ContainsSubstring("already"));
  CHECK_THROWS_WITH(tokenizer.add_tokens(std::vector<AddedToken>{{.content = ""}}), ContainsSubstring("empty"));
}

TEST_CASE("tokenizer files that are wrong or not supported are refused by name", "[tokenizer]") {
  refuses({{"version", "\"2.0\""}}, "version is \"2.0\"");
  refuses({{"normalizer", R"({"type":"NFC"})"}}, "normalizers of type \"NFC\" are not supported");
  refuses({{"normalizer", R"({"type":"Sequence","normalizers":[{"type":"Lowercase"}]})"}}, "\"Lowercase\"");
  refuses({{"decoder", R"({"type":"Metaspace"})"}}, "decoders of type \"Metaspace\"");
  refuses({{"post_processor", R"({"type":"BertProcessing"})"}}, "post-processors of type \"BertProcessing\"");
  refuses(
      {{"post_processor",
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{"x":{"ids":[0]}}})"}},
      "does not hold the text");
  refuses(
      {{"post_processor",
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[9]}}})"}},
      "adds the id 9");
  refuses(
      {{"post_processor",
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{}})"}},
      "special_tokens.x is missing");
  refuses({{"pre_tokenizer", "null"}}, "only byte-level tokenizers");
  refuses({{"pre_tokenizer", R"({"type":"Metaspace"})"}}, "pre-tokenizers of type \"Metaspace\"");
  refuses({{"pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]})"}},
          "after ByteLevel");
  refuses({{"pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"})"}},
          "regular expression (");
  refuses({{"pre_tokenizer", R"({"type":"Split","pattern":{"Regex":""},"behavior":"Isolated"})"}},
          "the pattern is empty");
  refuses({{"pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Some"})"}},
          "behavior \"Some\" is not known");
  refuses({{"pre_tokenizer", R"({"type":"Split","pattern":"a","behavior":"Isolated"})"}},
          "pattern is \"a\", expected an object");
  refuses({{"model", R"({"type":"WordPiece"})"}}, "models of type \"WordPiece\"");
  refuses({{"model", model_with(R"("end_of_word_suffix":"</w>")")}}, "end_of_word_suffix is not supported");
  refuses({{"model", model_with(R"("continuing_subword_prefix":"##")")}}, "continuing_subword_prefix is not supported");
  refuses({{"model", model_with(R"("dropout":0.1)")}}, "dropout is not supported");
  refuses({{"model", model_with(R"("byte_fallback":true)")}}, "byte_fallback");
  refuses({{"model", model_with(R"("unk_token":"<unk>")")}}, "unk_token \"<unk>\" is not in the vocabulary");
  refuses({{"model", R"({"merges":[]})"}}, "vocab is null");
  refuses({{"model", R"({"vocab":{"a":0,"b":0},"merges":[]})"}}, "the same id 0");
  refuses({{"model", R"({"vocab":{"a":-1},"merges":[]})"}}, "the id -1");
  refuses({{"model", R"({"vocab":{"a":1.5},"merges":[]})"}}, "the id 1.5");
  refuses({{"model", R"({"vocab":{"a":2000000000},"merges":[]})"}}, "the id 2000000000");
  refuses({{"model", R"({"vocab":{"":0},"merges":[]})"}}, "an empty token");
  refuses({{"model", R"({"vocab":{"a":0},"merges":{}})"}}, "merges is an object");
  refuses({{"model", R"({"vocab":{"a":0},"merges":["ab"]})"}}, "merges[0] is \"ab\", expected two tokens with a space");
  refuses({{"model", R"({"vocab":{"a":0},"merges":["a a a"]})"}}, "expected two tokens with a space");
  refuses({{"model", R"({"vocab":{"a":0},"merges":[["a"]]})"}}, "merges[0] is an array of 1, expected two tokens");
  refuses({{"model", R"({"vocab":{"a":0},"merges":[["a","b"]]})"}}, "needs the token \"b\"");
  refuses({{"model", R"({"vocab":{"a":0},"merges":[["a","a"]]})"}}, "needs the token \"aa\"");
  refuses({{"added_tokens", R"([{"content":"x"}])"}}, "added_tokens[0].id is missing");
  refuses({{"added_tokens", R"([{"id":3,"content":""}])"}}, "an added token is empty");
  refuses({{"added_tokens", R"([{"id":1,"content":"x"}])"}}, "which vocab gives to \"b\"");
  refuses({{"added_tokens", R"([{"id":1,"content":"a"}])"}}, "but vocab says 0");
  refuses({{"added_tokens", R"([{"id":3,"content":"x"},{"id":3,"content":"y"}])"}}, "have the same id 3");
  refuses({{"added_tokens", R"([{"id":3,"content":"x"},{"id":4,"content":"x"}])"}}, "appears twice");
  CHECK_THROWS_AS(Tokenizer::parse("[]", "t"), InputError);
  CHECK_THROWS_AS(Tokenizer::parse("{}", "t"), InputError);
  CHECK_THROWS_AS(Tokenizer::read("/no/such/file"), InputError);
}

TEST_CASE("training refuses what it cannot do and ends when nothing is left", "[tokenizer]") {
  const auto train = [](const std::string& text, const TokenizerTraining& options) {
    bool done = false;
    return Tokenizer::train([&](std::string& next) { return done ? false : (next = text, done = true); }, options);
  };
  CHECK_THROWS_AS(train("a", {.vocabulary_size = 0, .special_tokens = {}, .pre_tokenizer = {}}), InputError);
  CHECK_THROWS_AS(train("a\xff", {.special_tokens = {}, .pre_tokenizer = {}}), InputError);
  CHECK_THROWS_AS(train("a", {.special_tokens = {""}, .pre_tokenizer = {}}), InputError);
  CHECK_THROWS_AS(train("a", {.special_tokens = {}, .pre_tokenizer = Json(3)}), InputError);
  CHECK(train("", {.special_tokens = {}, .pre_tokenizer = {}}).size() == 256);
  const Tokenizer small =
      train("ab ab ab", {.vocabulary_size = 4096, .special_tokens = {"<a>", "<a>"}, .pre_tokenizer = {}});
  CHECK(small.size() == 1 + 256 + 2);
  CHECK(small.decode(small.encode("ab <a> 水"), false) == "ab <a> 水");
}

TEST_CASE("regular expressions mean what they mean in tokenizer files", "[regex]") {
  using Strings = std::vector<std::string>;
  CHECK(matches("\\s+", "a\u180e b\u0085\u2028c") == Strings{" ", "\u0085\u2028"});
  CHECK(matches("[^\\S\\n]+", "a \n\tb") == Strings{" ", "\t"});
  CHECK(matches("\\w+", "e\u0301_a-b\u203fc") == Strings{"e\u0301_a", "b\u203fc"});
  CHECK(matches("\\bab\\b", "ab abc \u00e9ab ab\u0301 _ab (ab)") == Strings{"ab", "ab"});
  CHECK(matches("\\u6c34", "火水") == Strings{"水"});
  CHECK(matches("^.", "ab\ncd") == Strings{"a", "c"});
  CHECK(matches("(?=[A-Z])", "aBcD") == Strings{"", ""});
  CHECK(matches("[]a]", "]a") == Strings{"]", "a"});
  CHECK(matches("x*", "axxé") == Strings{"", "xx", ""});
  CHECK(matches("(?i:'S)", "'s'ſ") == Strings{"'s", "'ſ"});
  const Regex literal = Regex::literal("a.(");
  CHECK(literal.pattern() == "a.(");
  std::size_t begin = 0, end = 0;
  CHECK(Regex::Matcher(literal, "aba.(").next(begin, end));
  CHECK(begin == 2);
  for (const char* pattern : {"(", "[a", "a\\", "\\h", "[[a]b]", "[a&&b]", "a{1,2}+", "a{,2}", "(?m:a)", "(*UTF)a",
                              "\\u12", "\\xff", "\\p{Nope}", "[\\W]", "\\p{L", "(?<n>a)"}) {
    INFO(pattern);
    CHECK_THROWS_WITH(Regex::compile(pattern), ContainsSubstring("regular expression " + std::string(pattern)));
  }
  // A pattern made to explode ends in an error, not in a day.
  CHECK_THROWS_AS(matches("(?:a|a)*b", std::string(60, 'a') + "cb"), InputError);
}
