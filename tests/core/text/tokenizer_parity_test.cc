// The same ids, texts and trained files as HuggingFace's `tokenizers` (tests/fixtures/tokenizers/make_tokenizers.py).
#include <cinttypes>
#include <cstdio>

#include "core/io/files.h"
#include "core/io/json.h"
#include "core/text/tokenizer.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

const std::filesystem::path kFixtures = std::filesystem::path(ORRERY_TEST_FIXTURES) / "tokenizers";

const std::vector<std::string> kNames = {"gpt2",  "short",   "deepseek", "llama3",  "o200k",
                                         "added", "unknown", "fused",    "dropped", "splits"};

std::vector<std::string> corpus() {
  const std::string text = read_file(kFixtures / "corpus.txt");
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::vector<std::int32_t> ids_of(const Json& json) {
  std::vector<std::int32_t> ids;
  for (const Json& id : json.as_array()) ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  return ids;
}

/// FNV-1a over the ids' little-endian bytes.
std::string hash_of(const std::vector<std::int32_t>& ids) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const std::int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8)
      value = (value ^ (static_cast<std::uint32_t>(id) >> shift & 0xFF)) * 0x100000001B3u;
  }
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, value);
  return text;
}

std::string repeat(const std::string& part, std::size_t count) {
  std::string text;
  text.reserve(part.size() * count);
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

/// The rule of make_tokenizers.py.
std::string large_text(const std::string& kind, const Json& cases) {
  if (kind == "letters") return repeat("aabab", 200'000);
  if (kind == "spaces") return std::string(999'999, ' ') + "x";
  if (kind == "newlines") return std::string(1'000'000, '\n');
  if (kind == "water") return repeat("水源", 170'000);
  if (kind == "digits") return repeat("0123456789", 100'000);
  std::string text;
  std::uint64_t state = 42;
  const Json::Array& all = cases.as_array();
  while (text.size() < 1'000'000) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += all[(state >> 33) % all.size()].find("text")->as_string() + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("each text gives the ids and the decoded text that HuggingFace gives", "[tokenizer]") {
  const Json file = Json::read(kFixtures / "cases.json");
  const Json::Array& cases = file.find("cases")->as_array();
  REQUIRE(cases.size() > 80);
  for (const std::string& name : kNames) {
    const Tokenizer tokenizer = Tokenizer::read(kFixtures / (name + ".json"));
    for (const Json& entry : cases) {
      const std::string& text = entry.find("text")->as_string();
      const Json& expected = *entry.find("results")->find(name);
      INFO(name << ": " << text);
      const auto ids = ids_of(*expected.find("ids"));
      CHECK(tokenizer.encode(text) == ids);
      const Json *kept = expected.find("kept"), *skipped = expected.find("skipped");
      CHECK(tokenizer.decode(ids, false) == (kept != nullptr ? kept->as_string() : text));
      CHECK(tokenizer.decode(ids, true) == (skipped != nullptr ? skipped->as_string() : text));
    }
  }
}

TEST_CASE("a megabyte of any kind gives HuggingFace's ids", "[tokenizer]") {
  const Json cases = *Json::read(kFixtures / "cases.json").find("cases");
  const Json large = Json::read(kFixtures / "large.json");
  for (const std::string& name : kNames) {
    const Tokenizer tokenizer = Tokenizer::read(kFixtures / (name + ".json"));
    for (const JsonMember& kind : large.as_object()) {
      INFO(name << ": " << kind.key);
      const std::string text = large_text(kind.key, cases);
      REQUIRE(static_cast<std::int64_t>(text.size()) == kind.value.find("bytes")->as_integer());
      const auto ids = tokenizer.encode(text);
      const Json& expected = *kind.value.find(name);
      CHECK(static_cast<std::int64_t>(ids.size()) == expected.find("count")->as_integer());
      CHECK(hash_of(ids) == expected.find("hash")->as_string());
    }
  }
}

TEST_CASE("training on the same text writes the same file as HuggingFace, byte for byte", "[tokenizer]") {
  const std::vector<std::string> lines = corpus();
  const auto train = [&](const std::string& name, TokenizerTraining options) {
    INFO(name);
    const std::string expected = read_file(kFixtures / (name + ".json"));
    options.pre_tokenizer = *Json::parse(expected, name).find("pre_tokenizer");
    std::size_t line = 0;
    const Tokenizer trained = Tokenizer::train(
        [&](std::string& text) {
          if (line == lines.size()) return false;
          text = lines[line++];
          return true;
        },
        options);
    CHECK(trained.dump(-1) + "\n" == expected);
  };
  train("gpt2", {.vocabulary_size = 900, .special_tokens = {"<bos>", "<eos>"}, .pre_tokenizer = {}});
  train("short",
        {.vocabulary_size = 500, .min_frequency = 1, .special_tokens = {}, .pre_tokenizer = {}, .max_token_length = 4});
  train("deepseek", {.vocabulary_size = 800, .special_tokens = {"<bos>"}, .pre_tokenizer = {}});
  train("o200k", {.vocabulary_size = 700, .special_tokens = {}, .pre_tokenizer = {}});
  train("splits", {.vocabulary_size = 500, .special_tokens = {}, .pre_tokenizer = {}});
}

TEST_CASE("a file that is read is written back byte for byte", "[tokenizer]") {
  for (const std::string& name : kNames) {
    INFO(name);
    const std::string text = read_file(kFixtures / (name + ".json"));
    CHECK(Tokenizer::parse(text, name).dump(-1) + "\n" == text);
  }
}
