// Any bytes as a tokenizer.json: an InputError, or a tokenizer that writes itself the same again and whose ids all have
// a token; a pattern that explodes ends in an InputError too.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "tests/fuzz/fuzz.h"

namespace {

void encode_and_decode(const orrery::Tokenizer& tokenizer, const std::string& text) {
  try {
    for (const bool special_as_text : {false, true}) {
      const auto ids = tokenizer.encode(text, {.special_as_text = special_as_text});
      for (const std::int32_t id : ids) FUZZ_EXPECT(id >= 0 && id < tokenizer.size());
      tokenizer.decode(ids, special_as_text);
    }
  } catch (const orrery::InputError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    orrery::Tokenizer tokenizer = orrery::Tokenizer::parse(text, "input");
    const std::string written = tokenizer.dump();
    FUZZ_EXPECT(orrery::Tokenizer::parse(written, "written").dump() == written);
    for (const char* sample : {"", "abab  a'b 12\n\n<x>", "水e\u0301 \u00a0🚀\t",
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
      encode_and_decode(tokenizer, sample);
    orrery::VideoVocabulary::append(tokenizer, {2, 2, 4});
    orrery::VideoVocabulary::from(tokenizer, 4);
  } catch (const orrery::InputError&) {
  }
  return 0;
}
