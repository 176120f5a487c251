#include "core/io/zip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/base/error.h"

namespace orrery {

namespace {

// APPNOTE.TXT 4.3: records that begin with these numbers, and their lengths without names and extras.
constexpr std::uint32_t kLocal = 0x04034b50, kMember = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalSize = 30, kMemberSize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;

class Archive {
 public:
  Archive(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::vector<ZipMember> members() const {
    auto [count, at] = directory();
    std::vector<ZipMember> out;
    for (std::uint64_t i = 0; i < count; ++i) {
      check_record(at, kMember, kMemberSize);
      const std::uint64_t name = number<std::uint16_t>(at + 28), extra = number<std::uint16_t>(at + 30),
                          comment = number<std::uint16_t>(at + 32);
      check_range(at + kMemberSize, name + extra + comment);
      out.push_back(member(at, name, extra));
      at += kMemberSize + name + extra + comment;
    }
    return out;
  }

 private:
  void check_range(std::uint64_t at, std::uint64_t size) const {
    ORRERY_CHECK(at <= bytes_.size() && size <= bytes_.size() - at, source_, ": broken zip: bytes ", at, " to ",
                 at + size, " of a file of ", bytes_.size());
  }
  void check_record(std::uint64_t at, std::uint32_t kind, std::uint64_t size) const {
    check_range(at, size);
    ORRERY_CHECK(number<std::uint32_t>(at) == kind, source_, ": broken zip: no record where byte ", at, " should be");
  }

  template <class T>
  T number(std::uint64_t at) const {
    check_range(at, sizeof(T));
    T out;
    std::memcpy(&out, bytes_.data() + at, sizeof(T));
    return out;
  }

  struct Directory {
    std::uint64_t count, at;
  };

  // The end record is last but for a comment of at most 65,535 bytes.
  Directory directory() const {
    ORRERY_CHECK(bytes_.size() >= kEndSize, source_, ": no zip: ", bytes_.size(), " bytes");
    const std::uint64_t last = bytes_.size() - kEndSize, first = last - std::min<std::uint64_t>(last, 65535);
    for (std::uint64_t at = last + 1; at-- > first;) {
      if (number<std::uint32_t>(at) != kEnd) continue;
      if (at >= kLocatorSize && number<std::uint32_t>(at - kLocatorSize) == kLocator64) {
        const std::uint64_t end = number<std::uint64_t>(at - kLocatorSize + 8);
        check_record(end, kEnd64, kEnd64Size);
        return {number<std::uint64_t>(end + 32), number<std::uint64_t>(end + 48)};
      }
      return {number<std::uint16_t>(at + 10), number<std::uint32_t>(at + 16)};
    }
    throw InputError(source_ + ": no zip, or its end is missing");
  }

  ZipMember member(std::uint64_t at, std::uint64_t name, std::uint64_t extra) const {
    ZipMember out;
    out.name.assign(reinterpret_cast<const char*>(bytes_.data()) + at + kMemberSize, name);
    out.stored = number<std::uint16_t>(at + 10) == 0 && (number<std::uint16_t>(at + 8) & 1) == 0;
    std::uint64_t size = number<std::uint32_t>(at + 24), packed = number<std::uint32_t>(at + 20),
                  local = number<std::uint32_t>(at + 42);
    read_extra64(at + kMemberSize + name, extra, {&size, &packed, &local});
    if (!out.stored) return out;
    ORRERY_CHECK(size == packed, source_, ": broken zip: ", out.name, " is stored, but in ", packed, " bytes for ",
                 size);
    check_record(local, kLocal, kLocalSize);
    const std::uint64_t begin =
        local + kLocalSize + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
    check_range(begin, size);
    out.data = bytes_.subspan(begin, size);
    return out;
  }

  // Numbers that say 0xFFFFFFFF stand in the extra field 1, in this order.
  void read_extra64(std::uint64_t at, std::uint64_t length, std::initializer_list<std::uint64_t*> numbers) const {
    const std::uint64_t end = at + length;
    while (at + 4 <= end) {
      const std::uint64_t kind = number<std::uint16_t>(at), size = number<std::uint16_t>(at + 2);
      if (kind == 1) {
        std::uint64_t next = at + 4;
        for (std::uint64_t* value : numbers) {
          if (*value != 0xFFFFFFFF) continue;
          *value = number<std::uint64_t>(next);
          next += 8;
        }
      }
      at += 4 + size;
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
};

}  // namespace

std::vector<ZipMember> list_zip(std::span<const std::byte> bytes, const std::string& source) {
  return Archive(bytes, source).members();
}

}  // namespace orrery
