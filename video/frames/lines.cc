#include "video/frames/lines.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace orrery {

namespace {

// The wide loops answer how many pixels they did; the rest is done one by one.
#if defined(__x86_64__)
bool has_shuffle() {
  static const bool has = __builtin_cpu_supports("ssse3") != 0;
  return has;
}

// Byte k of the result is byte first + 3k; nothing where that is outside of 0 to 15.
[[gnu::target("ssse3")]] __m128i every_third(int first) {
  alignas(16) std::int8_t from[16];
  for (int k = 0; k < 16; ++k) {
    const int at = first + 3 * k;
    from[k] = static_cast<std::int8_t>(at >= 0 && at < 16 ? at : -1);
  }
  return _mm_load_si128(reinterpret_cast<const __m128i*>(from));
}

[[gnu::target("ssse3")]] __m128i to_every_third(int byte_of_pixel, int part) {
  alignas(16) std::int8_t from[16];
  for (int k = 0; k < 16; ++k) {
    const int at = 16 * part + k;
    from[k] = static_cast<std::int8_t>(at % 3 == byte_of_pixel ? at / 3 : -1);
  }
  return _mm_load_si128(reinterpret_cast<const __m128i*>(from));
}

[[gnu::target("ssse3")]] int split_wide(const std::uint8_t* rgb, int width, std::uint8_t* const (&to)[3]) {
  __m128i from[3][3];
  for (int c = 0; c < 3; ++c)
    for (int part = 0; part < 3; ++part) from[c][part] = every_third(c - 16 * part);
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    const auto* in = reinterpret_cast<const __m128i*>(rgb + 3 * x);
    const __m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1), d = _mm_loadu_si128(in + 2);
    for (int c = 0; c < 3; ++c) {
      const __m128i line = _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(a, from[c][0]), _mm_shuffle_epi8(b, from[c][1])),
                                        _mm_shuffle_epi8(d, from[c][2]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to[c] + x), line);
    }
  }
  return x;
}

[[gnu::target("ssse3")]] int join_wide(const Lines& lines, int width, std::uint8_t* rgb) {
  __m128i from[3][3];
  for (int part = 0; part < 3; ++part)
    for (int c = 0; c < 3; ++c) from[part][c] = to_every_third(c, part);
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    const __m128i r = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines.red + x)),
                  g = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines.green + x)),
                  b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines.blue + x));
    for (int part = 0; part < 3; ++part) {
      const __m128i out =
          _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, from[part][0]), _mm_shuffle_epi8(g, from[part][1])),
                       _mm_shuffle_epi8(b, from[part][2]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rgb + 3 * x) + part, out);
    }
  }
  return x;
}
#else
bool has_shuffle() { return false; }
int split_wide(const std::uint8_t*, int, std::uint8_t* const (&)[3]) { return 0; }
int join_wide(const Lines&, int, std::uint8_t*) { return 0; }
#endif

}  // namespace

void split_line(const std::uint8_t* rgb, int width, std::uint8_t* red, std::uint8_t* green, std::uint8_t* blue) {
  std::uint8_t* const to[3] = {red, green, blue};
  for (int x = has_shuffle() ? split_wide(rgb, width, to) : 0; x < width; ++x)
    red[x] = rgb[3 * x], green[x] = rgb[3 * x + 1], blue[x] = rgb[3 * x + 2];
}

void join_line(const Lines& lines, int width, std::uint8_t* rgb) {
  for (int x = has_shuffle() ? join_wide(lines, width, rgb) : 0; x < width; ++x)
    rgb[3 * x] = lines.red[x], rgb[3 * x + 1] = lines.green[x], rgb[3 * x + 2] = lines.blue[x];
}

}  // namespace orrery
