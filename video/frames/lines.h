// Rows of pixels, interleaved (R, G, B, R, …) or as three lines of one colour each.
#pragma once

#include <cstdint>

namespace orrery {

/// A row as three lines of `width` bytes.
struct Lines {
  const std::uint8_t *red = nullptr, *green = nullptr, *blue = nullptr;
};

/// `width` pixels of R, G, B → three lines.
void split_line(const std::uint8_t* rgb, int width, std::uint8_t* red, std::uint8_t* green, std::uint8_t* blue);
/// The inverse.
void join_line(const Lines& lines, int width, std::uint8_t* rgb);

}  // namespace orrery
