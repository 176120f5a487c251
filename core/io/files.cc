#include "core/io/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/base/error.h"

namespace orrery {

namespace {

/// What the system refused, in one line. A disk that is full or fails is no fault of the user's arguments.
[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path, int error) {
  if (error == ENOSPC || error == EDQUOT)
    throw DiskFullError(what + " " + path.string() + ": " + std::generic_category().message(error));
  const bool disk = error == EIO || error == EFBIG || error == ENOMEM || error == EMFILE || error == ENFILE;
  const std::string message = what + " " + path.string() + ": " + std::generic_category().message(error);
  if (disk) throw Error(message, Blame::ours);
  throw InputError(message);
}

struct Descriptor {
  int value;
  explicit Descriptor(int descriptor) : value(descriptor) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// Opens an existing regular file for reading and returns its size.
std::size_t open_for_reading(const std::filesystem::path& path, int& descriptor) {
  descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail("cannot open", path, errno);
  struct stat status {};
  int error = ::fstat(descriptor, &status) != 0 ? errno : 0;
  if (error == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
  if (error == 0 && S_ISREG(status.st_mode)) return static_cast<std::size_t>(status.st_size);
  ::close(descriptor);
  descriptor = -1;
  if (error != 0) fail("cannot read", path, error);
  throw InputError("cannot read " + path.string() + ": not a regular file");
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder; the rename has happened all the same.
  if (descriptor.value >= 0) static_cast<void>(::fsync(descriptor.value));
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  int raw = -1;
  const std::size_t size = open_for_reading(path, raw);
  const Descriptor descriptor(raw);
  std::string text(size, '\0');
  std::size_t done = 0;
  while (true) {
    if (done == text.size()) text.resize(text.size() + 4096);  // it may have grown; /proc files say 0
    const ssize_t count = ::read(descriptor.value, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot read", path, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  ORRERY_CHECK(path_.has_filename(), "cannot write ", path_.string(), ": it names no file");
  std::error_code error;
  if (std::filesystem::is_symlink(path_, error)) {
    const auto target = std::filesystem::weakly_canonical(path_, error);
    if (!error) path_ = target;
  }
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  ORRERY_CHECK(!exists || !S_ISDIR(status.st_mode), "cannot write ", path_.string(), ": it is a folder");
  direct_ = exists && !S_ISREG(status.st_mode);
  if (direct_) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail("cannot write", path_, errno);
    return;
  }
  static std::atomic<unsigned> counter{0};
  do {
    temporary_ = path_;
    temporary_.replace_filename("." + path_.filename().string() + "." + std::to_string(::getpid()) + "." +
                                std::to_string(counter++) + ".part");
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail("cannot write", path_, errno);
  if (exists) static_cast<void>(::fchmod(descriptor_, status.st_mode & 07777));
}

AtomicFile::~AtomicFile() { close_and_remove(); }

void AtomicFile::close_and_remove() noexcept {
  if (descriptor_ < 0 && !parked_) return;
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  parked_ = false;
  if (!direct_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  ORRERY_ASSERT(descriptor_ >= 0, "write to ", path_.string(), " after it was finished");
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor_, next, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      close_and_remove();
      fail("cannot write", path_, error);
    }
    next += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

int AtomicFile::finish() noexcept {
  const int error = !direct_ && ::fsync(descriptor_) != 0 ? errno : 0;
  const int descriptor = std::exchange(descriptor_, -1);
  parked_ = true;
  return ::close(descriptor) != 0 && error == 0 ? errno : error;
}

void AtomicFile::park() {
  ORRERY_ASSERT(descriptor_ >= 0, "park of ", path_.string(), " after it was finished");
  const int error = finish();
  if (error == 0) return;
  close_and_remove();
  fail("cannot write", path_, error);
}

void AtomicFile::commit() {
  ORRERY_ASSERT(descriptor_ >= 0 || parked_, "commit of ", path_.string(), " after it was finished");
  int error = parked_ ? 0 : finish();
  if (error == 0 && !direct_ && ::rename(temporary_.c_str(), path_.c_str()) != 0) error = errno;
  if (error != 0) {
    close_and_remove();
    fail("cannot write", path_, error);
  }
  parked_ = false;
  if (!direct_) sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  int raw = -1;
  size_ = open_for_reading(path, raw);
  const Descriptor descriptor(raw);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (mapped == MAP_FAILED) fail("cannot map", path, errno);
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace orrery
