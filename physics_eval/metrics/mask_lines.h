// The passes over pixels behind Physics-IQ's masks, a line at a time; the same results on every instruction set.
#pragma once

#include <cstdint>

#include "video/frames/lines.h"

namespace orrery::mask_lines {

/// Grey as OpenCV's RGB2GRAY has it: (9798 R + 19235 G + 3735 B + 2^14) / 2^15, rounded down.
void to_grey(const Lines& lines, int width, std::uint8_t* grey);
/// Sums with weights 1 4 6 4 1; `grey` has two more pixels than `width` before and two behind, and points to the first
/// of these.
void blur_across(const std::uint8_t* grey, int width, std::uint16_t* sums);
/// The same down five lines of sums, over 256, rounded to nearest, halves up.
void blur_down(const std::uint16_t* const (&sums)[5], int width, std::uint8_t* blurred);
/// Moves `count` ≤ 64 means towards `grey` by 0.3 and returns a bit each, the first one lowest: whether grey is more
/// than 10 from its mean, rounded to nearest (halves to even).
std::uint64_t follow(const std::uint8_t* grey, int count, double* mean);
/// Moves `count` ≤ 64 means `steps` times towards the same grey.
void follow_on(const std::uint8_t* grey, int count, std::int64_t steps, double* mean);
/// The sum of pixels 4k + 1 and 4k + 2, for k below `count`.
void add_pairs(const std::uint8_t* line, int count, std::uint16_t* sums);
/// A quarter of two lines' sums, rounded to nearest, halves up.
void quarter_sums(const std::uint16_t* upper, const std::uint16_t* lower, int count, std::uint8_t* quarters);
/// Sum of (a − b)² over `count` bytes.
std::int64_t square_difference(const std::uint8_t* a, const std::uint8_t* b, std::int64_t count);

}  // namespace orrery::mask_lines
