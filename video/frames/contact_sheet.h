// Many frames on one page.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

struct ContactSheet {
  int columns = 6;
  /// Pixels of a cell's picture; frames are fitted in, keeping their shape. 0: the first frame's size.
  int cell_width = 0, cell_height = 0;
  int gap = 4;                          ///< Pixels around every cell.
  std::uint32_t background = 0x202020;  ///< 0xRRGGBB
  std::uint32_t ink = 0xE0E0E0;         ///< Colour of the labels.
};

/// The frames row by row, each with its label under it if there are labels (as many as frames, or none; ASCII, cut at
/// the cell's width; lower case is drawn as upper). Throws InputError without frames or with options out of range.
Frame make_contact_sheet(std::span<const Frame> frames, std::span<const std::string> labels = {},
                         const ContactSheet& options = {});

/// `text` in a 5×7 face with its top left corner at (x, y); a character takes 6·`scale` pixels. Outside parts are cut.
void draw_text(Frame& frame, int x, int y, const std::string& text, std::uint32_t colour, int scale = 1);

}  // namespace orrery
