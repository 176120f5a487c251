#include "physics_eval/metrics/bit_mask.h"

#include <algorithm>

namespace orrery {

namespace {

using Word = std::uint64_t;

constexpr int kReach = 2;

// The bits of the last word that are pixels.
Word last_pixels(const BitMask& mask) {
  const int used = mask.width % 64;
  return used == 0 ? ~Word{0} : (Word{1} << used) - 1;
}

bool any(const Word* row, int words) {
  return std::any_of(row, row + words, [](Word word) { return word != 0; });
}

// Rows `top` to `bottom` of `out`: each pixel the least (erode) or the most (dilate) of 5×5 around it. Rows of `in`
// beyond these are not looked at: nothing is set there, and it is far enough.
template <bool kErode>
void around(const BitMask& in, BitMask& out, int top, int bottom) {
  const int words = in.words;
  const Word outside = kErode ? ~Word{0} : 0, pixels = last_pixels(in);
  // A word of what lies outside before and behind.
  std::vector<Word> line(static_cast<std::size_t>(words) + 2, outside);
  Word* const column = &line[1];
  for (int y = top; y < bottom; ++y) {
    const int first = std::max(0, y - kReach), last = std::min(in.height - 1, y + kReach);
    std::copy_n(in.row(first), words, column);
    for (int r = first + 1; r <= last; ++r) {
      const Word* row = in.row(r);
      for (int k = 0; k < words; ++k) column[k] = kErode ? column[k] & row[k] : column[k] | row[k];
    }
    if (kErode) column[words - 1] |= ~pixels;
    Word* to = out.row(y);
    for (int k = 0; k < words; ++k) {
      const Word here = column[k], before = column[k - 1], behind = column[k + 1];
      const Word a = here << 1 | before >> 63, b = here << 2 | before >> 62, c = here >> 1 | behind << 63,
                 d = here >> 2 | behind << 62;
      to[k] = kErode ? here & a & b & c & d : here | a | b | c | d;
    }
    to[words - 1] &= pixels;
  }
}

}  // namespace

BitMask::BitMask(int w, int h)
    : width(w),
      height(h),
      words((w + 63) / 64),
      bits(static_cast<std::size_t>(words) * static_cast<std::size_t>(h), 0) {}

const BitMask& OpenClose::run(const BitMask& mask) {
  if (one_.width != mask.width || one_.height != mask.height)
    one_ = BitMask(mask.width, mask.height), two_ = BitMask(mask.width, mask.height);
  std::fill(one_.bits.begin(), one_.bits.end(), 0), std::fill(two_.bits.begin(), two_.bits.end(), 0);
  int top = 0, bottom = mask.height;
  while (top < bottom && !any(mask.row(top), mask.words)) ++top;
  while (bottom > top && !any(mask.row(bottom - 1), mask.words)) --bottom;
  // Where nothing is set neither opening nor closing sets anything but within four rows.
  if (top == bottom) return two_;
  top = std::max(0, top - 4 * kReach), bottom = std::min(mask.height, bottom + 4 * kReach);
  around<true>(mask, one_, top, bottom), around<false>(one_, two_, top, bottom);
  around<false>(two_, one_, top, bottom), around<true>(one_, two_, top, bottom);
  return two_;
}

void unpack(const BitMask& mask, std::uint8_t one, std::uint8_t* pixels) {
  for (int y = 0; y < mask.height; ++y) {
    const Word* row = mask.row(y);
    for (int x = 0; x < mask.width; ++x) *pixels++ = (row[x / 64] >> (x % 64) & 1) != 0 ? one : 0;
  }
}

void quarter(const BitMask& mask, std::uint8_t* pixels) {
  for (int y = 0; y + 3 < mask.height; y += 4) {
    const Word *upper = mask.row(y + 1), *lower = mask.row(y + 2);
    for (int k = 0; k < mask.words; ++k) {
      const Word a = upper[k] >> 1, b = upper[k] >> 2, c = lower[k] >> 1, d = lower[k] >> 2;
      const Word two = (a & b) | (c & d) | ((a | b) & (c | d));
      const int count = std::min(16, mask.width / 4 - 16 * k);
      for (int i = 0; i < count; ++i) *pixels++ = two >> (4 * i) & 1;
    }
  }
}

}  // namespace orrery
