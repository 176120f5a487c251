// Weights in safetensors files: 8 bytes little-endian header length, a JSON header of {name: {dtype, shape,
// data_offsets}} and `__metadata__`, then the bytes. Read through a memory map; every field is checked before use.
// In raw terms, so that files of any dtype can be listed and copied; tensors are made in core/io/load_tensor.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

/// Every dtype of the format whose elements fill whole bytes.
enum class FileDType : std::uint8_t {
  F64,
  F32,
  F16,
  BF16,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  BOOL,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0
};
std::int64_t size_of(FileDType dtype);
/// The name in the file: "BF16".
const char* name_of(FileDType dtype);
std::optional<FileDType> file_dtype(std::string_view name);

/// One tensor of a file. The bytes are row-major, little-endian and belong to the file object; they may be unaligned.
struct SafetensorsEntry {
  std::string name;
  FileDType dtype = FileDType::F32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;

  std::int64_t numel() const;
  /// "F32 [3, 4]", for messages.
  std::string describe() const;
};

/// What the bytes of a file hold; entries are sorted by name and point into `bytes`.
struct SafetensorsContents {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Checks and lists the bytes of a whole file. Throws InputError, starting with `source`, when anything is off: length,
/// JSON, dtypes, shapes, offsets that overlap, leave holes or leave the file, names that appear twice.
SafetensorsContents parse_safetensors(std::span<const std::byte> bytes, const std::string& source);

/// One file, or a folder's `model.safetensors` or shards with `model.safetensors.index.json`, kept mapped. Cheap to
/// copy; the entries stay valid while any copy lives.
class Safetensors {
 public:
  /// `path` is a .safetensors file, an index file, or a folder. Throws InputError.
  static Safetensors open(const std::filesystem::path& path);

  /// Sorted by name.
  const std::vector<SafetensorsEntry>& entries() const { return contents_->entries; }
  const std::map<std::string, std::string>& metadata() const { return contents_->metadata; }
  /// nullptr where there is none of that name.
  const SafetensorsEntry* find(std::string_view name) const;
  /// Throws InputError naming the file and a similar name.
  const SafetensorsEntry& at(std::string_view name) const;
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::shared_ptr<const SafetensorsContents> contents_;
};

/// Writes one file atomically, in an order that depends only on what is in it (dtype size descending, then name, so
/// that every tensor is aligned; metadata by key). Throws InputError for entries that contradict themselves.
void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata = {});

/// Writes `model.safetensors` into an existing folder or, above `shard_bytes` (default 5 GB), shards and their index.
/// What an earlier, differently sharded save left is removed after the new files are complete.
void write_safetensors_folder(const std::filesystem::path& folder, std::span<const SafetensorsEntry> entries,
                              const std::map<std::string, std::string>& metadata = {},
                              std::int64_t shard_bytes = 5'000'000'000);

}  // namespace orrery
