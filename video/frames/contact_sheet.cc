#include "video/frames/contact_sheet.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "video/frames/resize.h"

namespace orrery {
namespace {

/// A character's seven rows of five dots, the leftmost in bit 4.
struct Glyph {
  char character;
  std::uint8_t rows[7];
};

constexpr Glyph kGlyphs[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},      {'2', {14, 17, 1, 2, 4, 8, 31}},
    {'3', {31, 2, 4, 2, 1, 17, 14}},     {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},       {'8', {14, 17, 17, 14, 17, 17, 14}},
    {'9', {14, 17, 17, 15, 1, 2, 12}},   {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}},
    {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {28, 18, 17, 17, 17, 18, 28}}, {'E', {31, 16, 16, 30, 16, 16, 31}},
    {'F', {31, 16, 16, 30, 16, 16, 16}}, {'G', {14, 17, 16, 23, 17, 17, 15}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
    {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},      {'K', {17, 18, 20, 24, 20, 18, 17}},
    {'L', {16, 16, 16, 16, 16, 16, 31}}, {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 17, 25, 21, 19, 17, 17}},
    {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}}, {'Q', {14, 17, 17, 17, 21, 18, 13}},
    {'R', {30, 17, 17, 30, 20, 18, 17}}, {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
    {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 17, 10, 4}},  {'W', {17, 17, 17, 21, 21, 21, 10}},
    {'X', {17, 17, 10, 4, 10, 17, 17}},  {'Y', {17, 17, 17, 10, 4, 4, 4}},    {'Z', {31, 1, 2, 4, 8, 16, 31}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},      {',', {0, 0, 0, 0, 12, 4, 8}},       {':', {0, 12, 12, 0, 12, 12, 0}},
    {'-', {0, 0, 0, 31, 0, 0, 0}},       {'+', {0, 4, 4, 31, 4, 4, 0}},       {'_', {0, 0, 0, 0, 0, 0, 31}},
    {'=', {0, 0, 31, 0, 31, 0, 0}},      {'/', {1, 1, 2, 4, 8, 16, 16}},      {'%', {24, 25, 2, 4, 8, 19, 3}},
    {'(', {2, 4, 8, 8, 8, 4, 2}},        {')', {8, 4, 2, 2, 2, 4, 8}},        {'#', {10, 10, 31, 10, 31, 10, 10}},
    {' ', {0, 0, 0, 0, 0, 0, 0}},        {'?', {14, 17, 1, 2, 4, 0, 4}},
};

const Glyph& glyph_of(char character) {
  if (character >= 'a' && character <= 'z') character = static_cast<char>(character - 'a' + 'A');
  const auto* found = std::find_if(std::begin(kGlyphs), std::end(kGlyphs),
                                   [&](const Glyph& glyph) { return glyph.character == character; });
  return found != std::end(kGlyphs) ? *found : kGlyphs[std::size(kGlyphs) - 1];
}

void put(Frame& frame, int x, int y, std::uint32_t colour) {
  if (x < 0 || y < 0 || x >= frame.width() || y >= frame.height()) return;
  std::uint8_t* pixel = frame.at(x, y);
  for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(colour >> (16 - 8 * c));
}

}  // namespace

void draw_text(Frame& frame, int x, int y, const std::string& text, std::uint32_t colour, int scale) {
  for (const char character : text) {
    const Glyph& glyph = glyph_of(character);
    for (int dot = 0; dot < 35 * scale * scale; ++dot) {
      const int column = dot % (5 * scale), row = dot / (5 * scale);
      if ((glyph.rows[row / scale] >> (4 - column / scale) & 1) != 0) put(frame, x + column, y + row, colour);
    }
    x += 6 * scale;
  }
}

Frame make_contact_sheet(std::span<const Frame> frames, std::span<const std::string> labels,
                         const ContactSheet& options) {
  ORRERY_CHECK(!frames.empty(), "[contact_sheet] no frames");
  ORRERY_CHECK(labels.empty() || labels.size() == frames.size(), "[contact_sheet] ", labels.size(), " labels for ",
               frames.size(), " frames");
  ORRERY_CHECK(options.columns >= 1 && options.gap >= 0 && options.cell_width >= 0 && options.cell_height >= 0,
               "[contact_sheet] columns is ", options.columns, ", gap ", options.gap, ", cell ", options.cell_width,
               "x", options.cell_height, ", expected at least 1, 0, 0x0");
  const int cell_width = options.cell_width > 0 ? options.cell_width : frames[0].width();
  const int cell_height = options.cell_height > 0 ? options.cell_height : frames[0].height();
  const int label_height = labels.empty() ? 0 : 11;
  const int count = static_cast<int>(frames.size()), columns = std::min(options.columns, count);
  const int rows = (count + columns - 1) / columns;
  const int step_x = cell_width + options.gap, step_y = cell_height + label_height + options.gap;
  Frame sheet(columns * step_x + options.gap, rows * step_y + options.gap);
  for (int y = 0; y < sheet.height(); ++y) {
    for (int x = 0; x < sheet.width(); ++x) put(sheet, x, y, options.background);
  }
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    int width = cell_width, height = cell_height;
    fit_size(frames[index].width(), frames[index].height(), width, height);
    const Frame cell = resize(frames[index], width, height, Filter::sharp);
    const int left = options.gap + i % columns * step_x, top = options.gap + i / columns * step_y;
    const int x = left + (cell_width - width) / 2, y = top + (cell_height - height) / 2;
    for (int row = 0; row < height; ++row) {
      std::memcpy(sheet.at(x, y + row), cell.row(row), static_cast<std::size_t>(width) * 3);
    }
    if (!labels.empty()) {
      const std::string text = labels[index].substr(0, static_cast<std::size_t>(cell_width / 6));
      draw_text(sheet, left, top + cell_height + 3, text, options.ink);
    }
  }
  return sheet;
}

}  // namespace orrery
