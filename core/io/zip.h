// What lies in a zip archive whose members are stored without compression, as PyTorch writes them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace orrery {

struct ZipMember {
  std::string name;
  /// Bytes in the archive; empty where they are compressed.
  std::span<const std::byte> data;
  bool stored = true;
};

/// The members in the order of the central directory (32- and 64-bit forms). Throws InputError, starting with `source`,
/// for bytes that are no zip, end too early, or point outside of themselves.
std::vector<ZipMember> list_zip(std::span<const std::byte> bytes, const std::string& source);

}  // namespace orrery
