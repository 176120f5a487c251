#include "core/text/byte_level.h"

#include <array>

namespace orrery {

namespace {

struct Alphabet {
  std::array<std::uint32_t, 256> character{};
  std::array<std::int16_t, 0x144> byte{};  // by code point; −1: none

  Alphabet() {
    byte.fill(-1);
    std::uint32_t next = 256;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
      character[b] = printable ? b : next++;
      byte[character[b]] = static_cast<std::int16_t>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet table;
  return table;
}

/// Bytes of the character that starts at `at`, or of the ill-formed stretch there (`valid` tells which).
std::size_t character_length(std::string_view text, std::size_t at, bool& valid) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  valid = true;
  if (first < 0x80) return 1;
  valid = false;
  if (first < 0xC2 || first > 0xF4) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  std::size_t k = 1;
  for (; k < length && at + k < text.size(); ++k) {
    const unsigned next = byte(at + k);
    if (next < (k == 1 ? low : 0x80u) || next > (k == 1 ? high : 0xBFu)) return k;
  }
  valid = k == length;
  return k;
}

}  // namespace

std::uint32_t byte_alphabet(std::uint8_t byte) { return alphabet().character[byte]; }

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const std::uint32_t point = alphabet().character[static_cast<unsigned char>(c)];
    if (point < 0x80) {
      text += static_cast<char>(point);
    } else {
      text += static_cast<char>(0xC0 | (point >> 6));
      text += static_cast<char>(0x80 | (point & 0x3F));
    }
  }
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view characters) {
  std::string bytes;
  bytes.reserve(characters.size());
  for (std::size_t i = 0; i < characters.size();) {
    const auto first = static_cast<unsigned char>(characters[i]);
    std::uint32_t point = first;
    std::size_t length = 1;
    if (first >= 0x80) {
      if (first < 0xC2 || first > 0xDF || i + 1 >= characters.size()) return std::nullopt;
      point = (first & 0x1Fu) << 6 | (static_cast<unsigned char>(characters[i + 1]) & 0x3Fu);
      length = 2;
    }
    if (point >= alphabet().byte.size() || alphabet().byte[point] < 0) return std::nullopt;
    bytes += static_cast<char>(alphabet().byte[point]);
    i += length;
  }
  return bytes;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    bool valid = false;
    const std::size_t length = character_length(bytes, i, valid);
    text += valid ? bytes.substr(i, length) : std::string_view("\xEF\xBF\xBD");
    i += length;
  }
  return text;
}

std::size_t whole_characters(std::string_view bytes) {
  for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;  // a continuation: its character begins further ahead
    const std::size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1;
    return wanted > back ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

}  // namespace orrery
