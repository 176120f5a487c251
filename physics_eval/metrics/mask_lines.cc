#include "physics_eval/metrics/mask_lines.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/avx2_loops.h"

namespace orrery::mask_lines {

namespace {

constexpr int kRed = 9798, kGreen = 19235, kBlue = 3735, kHalf = 1 << 14, kShift = 15;

void grey_from(const Lines& lines, int first, int width, std::uint8_t* grey) {
  for (int x = first; x < width; ++x)
    grey[x] = static_cast<std::uint8_t>(
        (kRed * lines.red[x] + kGreen * lines.green[x] + kBlue * lines.blue[x] + kHalf) >> kShift);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] __m256i sixteen(const std::uint8_t* line) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line)));
}

// Products of 16-bit pairs are added in one instruction: (R, G) and (B, 1).
[[gnu::target("avx2")]] int grey_avx2(const Lines& lines, int width, std::uint8_t* grey) {
  const __m256i red_green = _mm256_set1_epi32(kGreen << 16 | kRed), blue_half = _mm256_set1_epi32(kHalf << 16 | kBlue),
                one = _mm256_set1_epi16(1);
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    const __m256i r = sixteen(lines.red + x), g = sixteen(lines.green + x), b = sixteen(lines.blue + x);
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(r, g), red_green),
                                         _mm256_madd_epi16(_mm256_unpacklo_epi16(b, one), blue_half)),
                  high = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(r, g), red_green),
                                          _mm256_madd_epi16(_mm256_unpackhi_epi16(b, one), blue_half));
    const __m256i words = _mm256_packs_epi32(_mm256_srli_epi32(low, kShift), _mm256_srli_epi32(high, kShift));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(grey + x), bytes);
  }
  return x;
}
#else
int grey_avx2(const Lines&, int, std::uint8_t*) { return 0; }
#endif

ORRERY_LOOP void across_loop(const std::uint8_t* __restrict g, int width, std::uint16_t* __restrict sums) {
  for (int x = 0; x < width; ++x)
    sums[x] = static_cast<std::uint16_t>(g[x] + g[x + 4] + 4 * (g[x + 1] + g[x + 3]) + 6 * g[x + 2]);
}
ORRERY_AVX2 void across_avx2(const std::uint8_t* grey, int width, std::uint16_t* sums) {
  across_loop(grey, width, sums);
}

// 16 bits hold 256 · 255 + 128.
ORRERY_LOOP void down_loop(const std::uint16_t* const (&s)[5], int width, std::uint8_t* __restrict blurred) {
  const std::uint16_t* __restrict a = s[0], * __restrict b = s[1], * __restrict c = s[2], * __restrict d = s[3], * __restrict e = s[4];
  for (int x = 0; x < width; ++x)
    blurred[x] =
        static_cast<std::uint8_t>(static_cast<std::uint16_t>(a[x] + e[x] + 4 * (b[x] + d[x]) + 6 * c[x] + 128) >> 8);
}
ORRERY_AVX2 void down_avx2(const std::uint16_t* const (&sums)[5], int width, std::uint8_t* blurred) {
  down_loop(sums, width, blurred);
}

constexpr double kNew = 0.3, kOld = 1.0 - kNew;
constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: added and taken away it leaves whole numbers

// In 64 bits and rounded through 32, as OpenCV does: a mean that is n + 1/2 but for its last bits rounds to even.
std::uint64_t follow_from(const std::uint8_t* grey, int first, int count, double* mean) {
  std::uint64_t bits = 0;
  for (int x = first; x < count; ++x) {
    mean[x] = mean[x] * kOld + static_cast<double>(int{grey[x]}) * kNew;
    const float rounded = static_cast<float>(mean[x]) + kRound - kRound;
    const bool differs = std::fabs(rounded - static_cast<float>(int{grey[x]})) > 10.5f;
    bits |= std::uint64_t{differs} << x;
  }
  return bits;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] __m256d moved(__m256d mean, __m128i grey) {
  return _mm256_add_pd(_mm256_mul_pd(mean, _mm256_set1_pd(kOld)),
                       _mm256_mul_pd(_mm256_cvtepi32_pd(grey), _mm256_set1_pd(kNew)));
}

// The first eights of `count`; `done` says how many pixels that was.
[[gnu::target("avx2")]] std::uint64_t follow_avx2(const std::uint8_t* grey, int count, double* mean, int& done) {
  const __m256 round = _mm256_set1_ps(kRound), least = _mm256_set1_ps(10.5f), sign = _mm256_set1_ps(-0.0f);
  std::uint64_t bits = 0;
  for (done = 0; done + 8 <= count; done += 8) {
    const __m256i eight = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(grey + done)));
    const __m256d low = moved(_mm256_loadu_pd(mean + done), _mm256_castsi256_si128(eight)),
                  high = moved(_mm256_loadu_pd(mean + done + 4), _mm256_extracti128_si256(eight, 1));
    _mm256_storeu_pd(mean + done, low), _mm256_storeu_pd(mean + done + 4, high);
    const __m256 means = _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)),
                 rounded = _mm256_sub_ps(_mm256_add_ps(means, round), round),
                 away = _mm256_andnot_ps(sign, _mm256_sub_ps(rounded, _mm256_cvtepi32_ps(eight)));
    const auto differs = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(away, least, _CMP_GT_OQ)));
    bits |= std::uint64_t{differs} << done;
  }
  return bits;
}
#else
std::uint64_t follow_avx2(const std::uint8_t*, int, double*, int& done) { return done = 0; }
#endif

// Each step moves a mean the same way and less far; one that stays, stays for good. That is looked at now and then.
ORRERY_LOOP void follow_on_loop(const std::uint8_t* grey, int count, std::int64_t steps, double* __restrict mean) {
  double pull[64], before[64];
  for (int x = 0; x < count; ++x) pull[x] = static_cast<double>(int{grey[x]}) * kNew;
  constexpr std::int64_t kUnseen = 8;
  for (std::int64_t step = 0; step < steps; step += kUnseen) {
    std::copy_n(mean, count, before);
    for (std::int64_t s = step; s < std::min(steps, step + kUnseen); ++s)
      for (int x = 0; x < count; ++x) mean[x] = mean[x] * kOld + pull[x];
    if (std::equal(before, before + count, mean)) return;
  }
}
ORRERY_AVX2 void follow_on_avx2(const std::uint8_t* grey, int count, std::int64_t steps, double* mean) {
  // The compiler knows the length of a whole block, which is most of the work.
  count == 64 ? follow_on_loop(grey, 64, steps, mean) : follow_on_loop(grey, count, steps, mean);
}

ORRERY_LOOP void pairs_loop(const std::uint8_t* __restrict line, int count, std::uint16_t* __restrict sums) {
  for (int k = 0; k < count; ++k) {
    std::uint32_t four = 0;
    std::memcpy(&four, line + std::ptrdiff_t{4} * k, 4);
    sums[k] = static_cast<std::uint16_t>((four >> 8 & 255) + (four >> 16 & 255));
  }
}
ORRERY_AVX2 void pairs_avx2(const std::uint8_t* line, int count, std::uint16_t* sums) { pairs_loop(line, count, sums); }

ORRERY_LOOP void quarter_loop(const std::uint16_t* __restrict a, const std::uint16_t* __restrict b, int count,
                              std::uint8_t* __restrict to) {
  for (int i = 0; i < count; ++i) to[i] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(a[i] + b[i] + 2) >> 2);
}
ORRERY_AVX2 void quarter_avx2(const std::uint16_t* upper, const std::uint16_t* lower, int count, std::uint8_t* to) {
  quarter_loop(upper, lower, count, to);
}

// As many as 32 bits hold.
ORRERY_LOOP std::int32_t squares_loop(const std::uint8_t* __restrict a, const std::uint8_t* __restrict b, int count) {
  std::int32_t sum = 0;
  for (int i = 0; i < count; ++i) {
    const auto d = static_cast<std::int16_t>(a[i] - b[i]);
    sum += d * d;
  }
  return sum;
}
ORRERY_AVX2 std::int32_t squares_avx2(const std::uint8_t* a, const std::uint8_t* b, int count) {
  return squares_loop(a, b, count);
}

}  // namespace

void to_grey(const Lines& lines, int width, std::uint8_t* grey) {
  grey_from(lines, has_avx2() ? grey_avx2(lines, width, grey) : 0, width, grey);
}

void blur_across(const std::uint8_t* grey, int width, std::uint16_t* sums) {
  has_avx2() ? across_avx2(grey, width, sums) : across_loop(grey, width, sums);
}

void blur_down(const std::uint16_t* const (&sums)[5], int width, std::uint8_t* blurred) {
  has_avx2() ? down_avx2(sums, width, blurred) : down_loop(sums, width, blurred);
}

std::uint64_t follow(const std::uint8_t* grey, int count, double* mean) {
  int done = 0;
  const std::uint64_t first = has_avx2() ? follow_avx2(grey, count, mean, done) : 0;
  return first | follow_from(grey, done, count, mean);
}

void follow_on(const std::uint8_t* grey, int count, std::int64_t steps, double* mean) {
  has_avx2() ? follow_on_avx2(grey, count, steps, mean) : follow_on_loop(grey, count, steps, mean);
}

void add_pairs(const std::uint8_t* line, int count, std::uint16_t* sums) {
  has_avx2() ? pairs_avx2(line, count, sums) : pairs_loop(line, count, sums);
}

void quarter_sums(const std::uint16_t* upper, const std::uint16_t* lower, int count, std::uint8_t* quarters) {
  has_avx2() ? quarter_avx2(upper, lower, count, quarters) : quarter_loop(upper, lower, count, quarters);
}

std::int64_t square_difference(const std::uint8_t* a, const std::uint8_t* b, std::int64_t count) {
  constexpr std::int64_t kBlock = 1 << 14;
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < count; i += kBlock) {
    const int part = static_cast<int>(std::min(kBlock, count - i));
    sum += has_avx2() ? squares_avx2(a + i, b + i, part) : squares_loop(a + i, b + i, part);
  }
  return sum;
}

}  // namespace orrery::mask_lines
