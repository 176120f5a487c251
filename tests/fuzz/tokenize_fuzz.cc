// Any bytes as text: an InputError where they are no UTF-8, else ids whose bytes are the text again, and whose words
// and folded words are UTF-8.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/io/json.h"
#include "core/text/tokenizer.h"
#include "core/text/words.h"
#include "tests/fuzz/fuzz.h"

namespace {

/// A tokenizer with a DeepSeek-like chain of splits, trained on a few words.
const orrery::Tokenizer& tokenizer() {
  static const orrery::Tokenizer trained = [] {
    orrery::TokenizerTraining options;
    options.vocabulary_size = 300;
    options.special_tokens = {"<x>"};
    options.pre_tokenizer = orrery::Json::parse(
        R"({"type":"Sequence","pretokenizers":[
            {"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated"},
            {"type":"Split","pattern":{"Regex":"[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated"},
            {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})",
        "chain");
    int pieces = 0;
    return orrery::Tokenizer::train(
        [&](std::string& text) {
          text = "a red ball and a blue ball bounce, bounce, bounce; красный мяч 赤いボール   ball";
          return pieces++ < 2;
        },
        options);
  }();
  return trained;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    std::string bytes;
    for (const std::int32_t id : tokenizer().encode(text)) bytes += tokenizer().bytes(id);
    FUZZ_EXPECT(bytes == text);
    FUZZ_EXPECT(tokenizer().decode(tokenizer().encode(text), false) == text);
    for (const std::string& word : orrery::words_of(text)) {
      FUZZ_EXPECT(orrery::find_invalid_utf8(orrery::fold_word(word)) == std::string::npos);
      FUZZ_EXPECT(orrery::fold_word(orrery::fold_word(word)) == orrery::fold_word(word));
    }
  } catch (const orrery::InputError&) {
    FUZZ_EXPECT(orrery::find_invalid_utf8(text) != std::string::npos);
  }
  return 0;
}
