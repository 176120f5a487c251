// Any bytes as a safetensors file: an InputError, or entries that lie in the file, one behind the other, and can be
// read.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.h"
#include "core/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  try {
    const orrery::SafetensorsContents contents = orrery::parse_safetensors(bytes, "input");
    std::size_t total = 0;
    unsigned sum = 0;
    for (const orrery::SafetensorsEntry& entry : contents.entries) {
      FUZZ_EXPECT(entry.data.size() == static_cast<std::size_t>(entry.numel() * orrery::size_of(entry.dtype)));
      FUZZ_EXPECT(entry.data.empty() || (entry.data.data() >= bytes.data() &&
                                         entry.data.data() + entry.data.size() <= bytes.data() + bytes.size()));
      FUZZ_EXPECT(!entry.describe().empty());
      for (const std::byte value : entry.data) sum += static_cast<unsigned>(value);
      total += entry.data.size();
    }
    FUZZ_EXPECT(total <= size && sum <= 255 * size);
  } catch (const orrery::InputError&) {
  }
  return 0;
}
