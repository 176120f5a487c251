// What we must know of container files beyond libav: whether a file is cut short, and text in PNG and GIF files.
// Private to video/io.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::container {

/// Throws InputError when `path` is missing, a folder, unreadable or empty.
void check_readable(const std::string& path);

/// Walks the outermost structure (MP4 boxes, EBML, RIFF, PNG chunks, GIF trailer) and says in a few words how the file
/// is cut short; empty when it is whole or its container is another one.
std::string find_truncation(const std::string& path);

/// PNG bytes with an iTXt chunk (`key`, UTF-8 `text`) before the picture's data.
std::vector<std::uint8_t> png_with_text(const std::vector<std::uint8_t>& png, const std::string& key,
                                        std::string_view text);
/// The text that png_with_text stored; empty if there is none or it is no PNG.
std::string png_text(const std::string& path, const std::string& key);

/// A GIF comment extension, to stand before the trailer byte.
std::vector<std::uint8_t> gif_comment(std::string_view text);
/// The first comment extension of a GIF file; empty if there is none or it is no GIF.
std::string gif_text(const std::string& path);

/// Whether `path` is a numbered sequence: one %d or %0Nd, nothing else after a %, and no file of that very name.
bool is_sequence(const std::string& path);
/// Whether the name has one %d or %0Nd.
bool is_pattern(const std::string& path);
/// The file of number `index`.
std::string sequence_name(const std::string& pattern, std::int64_t index);

}  // namespace orrery::container
