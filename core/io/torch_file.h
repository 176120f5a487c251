// Tensors out of PyTorch's files: what torch.save writes since version 1.6 (a zip with a pickle), what it wrote before,
// and TorchScript archives. Only tensors are read; code and classes in the file are neither run nor looked at.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/io/safetensors.h"

namespace orrery {

/// The tensors of a file in its own order. Names join the keys and attributes on the way to a tensor by dots, as
/// state_dict() does. Bytes point into the file's, or into `copies` where a tensor is not contiguous there.
struct TorchContents {
  std::vector<SafetensorsEntry> entries;
  std::vector<std::unique_ptr<std::vector<std::byte>>> copies;
};

/// Checks and lists the bytes of a whole file. Throws InputError, starting with `source`, when anything is off:
/// compressed or big-endian records, sizes and strides that leave their storage, nested deeper than 64 levels.
TorchContents parse_torch(std::span<const std::byte> bytes, const std::string& source);

/// A file kept mapped. Cheap to copy; the entries stay valid while any copy lives.
class TorchFile {
 public:
  static TorchFile open(const std::filesystem::path& path);
  const std::vector<SafetensorsEntry>& entries() const { return contents_->entries; }

 private:
  std::shared_ptr<const TorchContents> contents_;
};

}  // namespace orrery
