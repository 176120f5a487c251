// Any bytes as a file of PyTorch's: an InputError, or tensors of as many bytes as their shapes say.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.h"
#include "core/io/torch_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const orrery::TorchContents contents = orrery::parse_torch(std::as_bytes(std::span(data, size)), "input");
    for (const orrery::SafetensorsEntry& entry : contents.entries) {
      FUZZ_EXPECT(entry.data.size() == static_cast<std::size_t>(entry.numel() * orrery::size_of(entry.dtype)));
      unsigned sum = 0;
      for (const std::byte value : entry.data) sum += static_cast<unsigned>(value);
      FUZZ_EXPECT(sum <= 255 * entry.data.size());
    }
  } catch (const orrery::InputError&) {
  }
  return 0;
}
