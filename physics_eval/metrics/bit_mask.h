// Masks of one bit a pixel: what Physics-IQ opens and closes, 64 pixels at once.
#pragma once

#include <cstdint>
#include <vector>

namespace orrery {

/// Bit x % 64 of word x / 64 of a row is pixel x; bits behind the last pixel are 0.
struct BitMask {
  int width = 0, height = 0, words = 0;
  std::vector<std::uint64_t> bits;

  BitMask() = default;
  BitMask(int w, int h);
  std::uint64_t* row(int y) { return &bits[static_cast<std::size_t>(y) * static_cast<std::size_t>(words)]; }
  const std::uint64_t* row(int y) const { return const_cast<BitMask*>(this)->row(y); }
};

/// Opened, then closed, by 5×5 ones, as OpenCV does it: what lies outside of the picture does not count.
class OpenClose {
 public:
  /// The result is valid until the next call.
  const BitMask& run(const BitMask& mask);

 private:
  BitMask one_, two_;
};

/// 0 or `one` a pixel.
void unpack(const BitMask& mask, std::uint8_t one, std::uint8_t* pixels);
/// A mask of a quarter of the size, 0 or 1 a pixel: whether at least two of the four pixels in the middle of 4×4 are
/// set. Both sides are multiples of 4.
void quarter(const BitMask& mask, std::uint8_t* pixels);

}  // namespace orrery
