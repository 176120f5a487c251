// Whole files: read, map, and write so that a reader sees the old file or the new one, never half of one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace orrery {

/// The whole file as bytes. Throws InputError when it is missing, a folder, or unreadable.
std::string read_file(const std::filesystem::path& path);

/// Replaces `path` atomically by `bytes` (see AtomicFile).
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// A file written under a temporary name in the same folder and renamed by commit(), after it and its folder are on
/// disk (fsync). Without commit() nothing is left behind. An existing file keeps its permissions; a symbolic link is
/// followed; something that is no file (a pipe, /dev/null) is written to directly. A path that cannot be written is an
/// InputError; a full or broken disk is an Error that is ours.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs and closes the file before its commit(), so that many can wait for theirs without holding descriptors.
  void park();
  /// Makes the file visible under its name. Call once, last.
  void commit();

  /// For writers that must seek: open for writing, owned by this object, -1 once parked.
  int descriptor() const { return descriptor_; }
  /// What to open for reading back before commit().
  const std::filesystem::path& temporary() const { return direct_ ? path_ : temporary_; }

 private:
  void close_and_remove() noexcept;
  /// Syncs and closes; 0 or the system's error.
  int finish() noexcept;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  bool direct_ = false, parked_ = false;
};

/// A read-only mapping of a whole file; the bytes live as long as this object. Whoever cuts the file short while it is
/// mapped kills the process (SIGBUS): files of ours are replaced by rename, which is safe.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace orrery
