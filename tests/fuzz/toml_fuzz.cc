// Any bytes as a TOML configuration: an InputError, or an object.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/io/toml.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    FUZZ_EXPECT(orrery::parse_toml(text, "input").is_object());
  } catch (const orrery::InputError&) {
  }
  return 0;
}
