// SHA-256 (FIPS 180-4): for frame hashes and manifests. Not for secrets: no attention to timing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace orrery {

/// A hash over bytes that come in pieces; how they are cut does not matter.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::uint8_t> bytes);
  void update(std::string_view text);
  /// The hash of everything so far, big-endian. The object must not be used after it.
  std::array<std::uint8_t, 32> finish();
  /// finish() as 64 lower-case hexadecimal digits.
  std::string finish_hex();

 private:
  void block(const std::uint8_t* bytes);

  std::array<std::uint32_t, 8> state_;
  std::array<std::uint8_t, 64> pending_{};
  std::size_t pending_size_ = 0;
  std::uint64_t total_ = 0;
};

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::uint8_t> bytes);
std::string sha256_hex(std::string_view text);
/// The SHA-256 of a file's bytes, read in pieces; throws InputError when it cannot be read.
std::string sha256_file_hex(const std::string& path);

}  // namespace orrery
