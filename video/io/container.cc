#include "video/io/container.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>

#include "core/base/error.h"

namespace orrery::container {
namespace {

namespace fs = std::filesystem;

/// Random reads of big-endian numbers; false past the end.
class ByteFile {
 public:
  explicit ByteFile(const std::string& path) : stream_(path, std::ios::binary) {
    stream_.seekg(0, std::ios::end);
    size_ = stream_.good() ? static_cast<std::uint64_t>(stream_.tellg()) : 0;
  }
  std::uint64_t size() const { return size_; }
  bool read(std::uint64_t at, void* to, std::size_t count) {
    if (at > size_ || count > size_ - at) return false;
    stream_.clear();
    stream_.seekg(static_cast<std::streamoff>(at));
    stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    return stream_.good();
  }
  bool number(std::uint64_t at, int bytes, std::uint64_t& value) {
    std::array<std::uint8_t, 8> raw{};
    if (!read(at, raw.data(), static_cast<std::size_t>(bytes))) return false;
    value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | raw[static_cast<std::size_t>(i)];
    return true;
  }

 private:
  std::ifstream stream_;
  std::uint64_t size_ = 0;
};

constexpr std::uint64_t fourcc(const char (&text)[5]) {
  std::uint64_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(text[i]);
  return value;
}

std::string short_by(std::uint64_t expected, std::uint64_t found) {
  return "it has " + std::to_string(found) + " bytes of at least " + std::to_string(expected);
}

// ISO 14496-12: boxes of size, type; size 1 means 64 bits follow, 0 the rest of the file.
std::string check_boxes(ByteFile& file) {
  bool media = false;
  for (std::uint64_t at = 0; at < file.size();) {
    std::uint64_t size = 0, type = 0;
    if (!file.number(at, 4, size) || !file.number(at + 4, 4, type)) return short_by(at + 8, file.size());
    if (size == 1 && !file.number(at + 8, 8, size)) return short_by(at + 16, file.size());
    if (size == 0) return {};
    if (size < 8) return {};  // Not a box: rubbish after the film.
    if (type == fourcc("mdat") || type == fourcc("moof")) media = true;
    if (size > file.size() - at) return short_by(at + size, file.size());
    at += size;
  }
  return media ? std::string() : "its media data is missing";
}

// RFC 8794: a variable-length size whose leading zeros give its length; all ones: unknown.
bool ebml_size(ByteFile& file, std::uint64_t at, std::uint64_t& size, int& length, bool& unknown) {
  std::uint64_t first = 0;
  if (!file.number(at, 1, first) || first == 0) return false;
  length = 1;
  while ((first & (0x80u >> (length - 1))) == 0) ++length;
  if (!file.number(at, length, size)) return false;
  const std::uint64_t mask = (std::uint64_t{1} << (7 * length)) - 1;
  size &= mask;
  unknown = size == mask;
  return true;
}

std::string check_ebml(ByteFile& file) {
  std::uint64_t at = 4, size = 0;
  int length = 0;
  bool unknown = false;
  if (!ebml_size(file, at, size, length, unknown)) return short_by(at + 8, file.size());
  at += static_cast<std::uint64_t>(length) + size;
  std::uint64_t id = 0;
  if (size > file.size() || !file.number(at, 4, id)) return short_by(at + 4, file.size());
  if (id != 0x18538067) return {};
  if (!ebml_size(file, at + 4, size, length, unknown)) return short_by(at + 12, file.size());
  const std::uint64_t end = at + 4 + static_cast<std::uint64_t>(length) + size;
  return !unknown && end > file.size() ? short_by(end, file.size()) : std::string();
}

std::string check_riff(ByteFile& file) {
  std::array<std::uint8_t, 4> raw{};
  if (!file.read(4, raw.data(), 4)) return short_by(8, file.size());
  const std::uint64_t size = raw[0] | raw[1] << 8 | raw[2] << 16 | static_cast<std::uint64_t>(raw[3]) << 24;
  return size + 8 > file.size() ? short_by(size + 8, file.size()) : std::string();
}

std::string check_png(ByteFile& file) {
  for (std::uint64_t at = 8; at < file.size();) {
    std::uint64_t size = 0, type = 0;
    if (!file.number(at, 4, size) || !file.number(at + 4, 4, type)) break;
    if (size + 12 > file.size() - at) return short_by(at + size + 12, file.size());
    if (type == fourcc("IEND")) return {};
    at += size + 12;
  }
  return "its last chunk is missing";
}

// GIF89a: blocks of 0x2C (picture), 0x21 (extension), 0x3B (end); `comment` is the first comment, if wanted.
std::string walk_gif(ByteFile& file, std::string* comment) {
  const std::string cut = "its end is missing";
  std::uint64_t flags = 0, byte = 0;
  if (!file.number(10, 1, flags)) return cut;
  const auto table = [](std::uint64_t f) { return (f & 0x80) != 0 ? std::uint64_t{3} << ((f & 7) + 1) : 0; };
  std::uint64_t at = 13 + table(flags);
  while (file.number(at, 1, byte)) {
    if (byte == 0x3B) return {};
    std::uint64_t label = 0;
    if (byte == 0x2C) {
      if (!file.number(at + 9, 1, flags)) return cut;
      at += 11 + table(flags);
    } else if (byte == 0x21) {
      if (!file.number(at + 1, 1, label)) return cut;
      at += 2;
    } else {
      return "a block of unknown kind stands at byte " + std::to_string(at);
    }
    for (;;) {
      std::uint64_t size = 0;
      if (!file.number(at, 1, size)) return cut;
      if (label == 0xFE && comment != nullptr && size > 0) {
        std::string piece(size, '\0');
        if (!file.read(at + 1, piece.data(), size)) return cut;
        *comment += piece;
      }
      at += 1 + size;
      if (size == 0) break;
    }
    if (label == 0xFE && comment != nullptr) return {};
  }
  return cut;
}

std::uint32_t crc32(const std::uint8_t* bytes, std::size_t size) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

void append_number(std::vector<std::uint8_t>& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

constexpr std::array<std::uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

}  // namespace

void check_readable(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  ORRERY_CHECK(status.type() != fs::file_type::not_found, "[video] ", path, ": no such file");
  ORRERY_CHECK(!fs::is_directory(status), "[video] ", path, ": is a folder, expected a video file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  ORRERY_CHECK(file.good(), "[video] ", path, ": cannot be opened: ", std::strerror(errno != 0 ? errno : EIO));
  if (fs::is_regular_file(status)) {
    ORRERY_CHECK(fs::file_size(path, error) > 0, "[video] ", path, ": is empty (0 bytes)");
  }
}

std::string find_truncation(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  ByteFile file(path);
  std::array<std::uint8_t, 12> head{};
  if (!file.read(0, head.data(), head.size())) return {};
  const auto starts = [&](std::size_t at, std::string_view text) {
    return std::equal(text.begin(), text.end(), head.begin() + static_cast<std::ptrdiff_t>(at),
                      [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
  };
  if (starts(4, "ftyp")) return check_boxes(file);
  if (starts(0, "\x1A\x45\xDF\xA3")) return check_ebml(file);
  if (starts(0, "RIFF")) return check_riff(file);
  if (std::equal(kPngSignature.begin(), kPngSignature.end(), head.begin())) return check_png(file);
  if (starts(0, "GIF8")) return walk_gif(file, nullptr);
  return {};
}

std::vector<std::uint8_t> png_with_text(const std::vector<std::uint8_t>& png, const std::string& key,
                                        std::string_view text) {
  constexpr std::size_t kHeader = 8 + 25;  // The signature and IHDR, which must stay first.
  ORRERY_ASSERT(png.size() > kHeader, "[video] PNG of ", png.size(), " bytes");
  std::vector<std::uint8_t> chunk;
  append_number(chunk, static_cast<std::uint32_t>(key.size() + 5 + text.size()));
  for (const char c : {'i', 'T', 'X', 't'}) chunk.push_back(static_cast<std::uint8_t>(c));
  chunk.insert(chunk.end(), key.begin(), key.end());
  chunk.insert(chunk.end(), 5, 0);  // End of the key, not compressed, its method, no language, no translated key.
  chunk.insert(chunk.end(), text.begin(), text.end());
  append_number(chunk, crc32(chunk.data() + 4, chunk.size() - 4));
  std::vector<std::uint8_t> out = png;
  out.insert(out.begin() + kHeader, chunk.begin(), chunk.end());
  return out;
}

std::string png_text(const std::string& path, const std::string& key) {
  ByteFile file(path);
  std::array<std::uint8_t, 8> signature{};
  if (!file.read(0, signature.data(), 8) || signature != kPngSignature) return {};
  const std::string prefix = key + std::string(5, '\0');
  for (std::uint64_t at = 8; at < file.size();) {
    std::uint64_t size = 0, type = 0;
    if (!file.number(at, 4, size) || !file.number(at + 4, 4, type) || size > file.size() - at) return {};
    if (type == fourcc("IDAT")) return {};
    if (type == fourcc("iTXt") && size >= prefix.size()) {
      std::string text(size, '\0');
      if (!file.read(at + 8, text.data(), size)) return {};
      if (text.compare(0, prefix.size(), prefix) == 0) return text.substr(prefix.size());
    }
    at += size + 12;
  }
  return {};
}

std::vector<std::uint8_t> gif_comment(std::string_view text) {
  std::vector<std::uint8_t> out = {0x21, 0xFE};
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, 255);
    out.push_back(static_cast<std::uint8_t>(piece.size()));
    out.insert(out.end(), piece.begin(), piece.end());
    text.remove_prefix(piece.size());
  }
  out.push_back(0);
  return out;
}

std::string gif_text(const std::string& path) {
  ByteFile file(path);
  std::array<char, 4> head{};
  if (!file.read(0, head.data(), 4) || std::string_view(head.data(), 4) != "GIF8") return {};
  std::string comment;
  return walk_gif(file, &comment).empty() ? comment : std::string();
}

bool is_pattern(const std::string& path) {
  static const std::regex number("%(0[0-9])?d");
  const auto percents = std::count(path.begin(), path.end(), '%');
  return percents == 1 && std::regex_search(path, number);
}

bool is_sequence(const std::string& path) {
  std::error_code ignored;
  return is_pattern(path) && !fs::exists(path, ignored);
}

std::string sequence_name(const std::string& pattern, std::int64_t index) {
  const std::size_t at = pattern.find('%');
  const std::size_t end = pattern.find('d', at);
  const std::size_t width = end - at == 3 ? static_cast<std::size_t>(pattern[at + 2] - '0') : 0;
  std::string digits = std::to_string(index);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return pattern.substr(0, at) + digits + pattern.substr(end + 1);
}

}  // namespace orrery::container
