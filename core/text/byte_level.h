// GPT-2's byte-level alphabet: each of the 256 bytes is written as one printable character in tokenizer files
// (Radford et al. 2019, "Language models are unsupervised multitask learners", encoder.py bytes_to_unicode).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery {

/// The characters for these bytes, as UTF-8: " a" → "Ġa".
std::string to_byte_alphabet(std::string_view bytes);
/// The bytes that these characters stand for, or nothing when a character is not of the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view characters);
/// The code point that stands for a byte.
std::uint32_t byte_alphabet(std::uint8_t byte);

/// Valid UTF-8: each ill-formed stretch becomes U+FFFD, as Unicode's "maximal subpart" practice has it.
std::string replace_invalid_utf8(std::string_view bytes);
/// Length in bytes of the longest prefix that ends between characters (0 to 3 bytes shorter when the end is cut).
std::size_t whole_characters(std::string_view bytes);

}  // namespace orrery
